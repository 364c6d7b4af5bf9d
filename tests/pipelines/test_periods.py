"""Lengths of time as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sensorssm.errors import ConfigError
from sensorssm_pipelines.periods import minutes_text, parse_period


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("5min", 300), (" 5 min ", 300), ("2h", 7200), ("7d", 604800)],
)
def test_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_period(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "min", "5m", "-5min", "0s", "1.5h", "5min5", "9" * 30 + "d"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="Write"):
        parse_period(text)


@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "0 s"), (0.5, "30 s"), (1, "1 min"), (119, "119 min"), (150, "2.5 h")]
)
def test_minutes_are_told_in_the_unit_that_suits_them(minutes: float, text: str) -> None:
    assert minutes_text(minutes) == text
