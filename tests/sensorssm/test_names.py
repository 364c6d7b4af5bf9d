"""Shared words: unit codes as people read them."""

from __future__ import annotations

import pytest

from sensorssm.names import unit_sign


@pytest.mark.parametrize(
    ("code", "shown"),
    [("Cel", "°C"), ("m3/h", "m³/h"), ("bar", "bar"), (None, ""), ("1", ""), (" mm/s ", "mm/s")],
)
def test_a_unit_code_is_shown_as_on_a_gauge(code: str | None, shown: str) -> None:
    """Codes that people do not read are written out; others stay as they are."""
    assert unit_sign(code) == shown
