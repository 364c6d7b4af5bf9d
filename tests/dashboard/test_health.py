"""One word an asset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from sensorssm_dashboard import health

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(**changed: Any) -> dict[str, Any]:
    return {"time": NOW, "score": 0.2, "threshold": 1.0, "state": "NORMAL"} | changed


def alarms(*states: str) -> pl.DataFrame:
    return pl.DataFrame({"state": states}, schema={"state": pl.String})


@pytest.mark.parametrize(
    ("latest", "states", "word"),
    [
        (row(), (), health.NORMAL),
        (row(), ("CLEARED",), health.NORMAL),
        (row(score=1.5), (), health.UNUSUAL),
        (row(score=1.0), (), health.NORMAL),
        (row(), ("CLEARED", "ACKNOWLEDGED"), health.SEEN),
        (row(), ("ACKNOWLEDGED", "OPEN"), health.ALARM),
        (None, (), health.UNKNOWN),
        (None, ("OPEN",), health.ALARM),
        (row(score=None), (), health.BAD_DATA),
        (row(state="HOLD"), (), health.BAD_DATA),
        (row(threshold=None), (), health.NORMAL),
        (row(time=NOW - timedelta(hours=2)), (), health.SILENT),
        (row(time=NOW - timedelta(hours=2)), ("OPEN",), health.ALARM),
    ],
)
def test_the_worst_that_holds_is_the_word(latest: Any, states: tuple[str, ...], word: Any) -> None:
    """Alarms come first, then silence, bad data, and last what the score says."""
    assert health.asset_health(latest, alarms(*states), NOW) is word


def test_no_two_words_look_alike() -> None:
    """Colour is never the only difference: word and icon differ for every state."""
    looks = [v for v in vars(health).values() if isinstance(v, health.Look)]
    assert len(looks) >= 7
    assert len({look.word for look in looks}) == len({look.icon for look in looks}) == len(looks)


def test_good_share_counts_unknown_and_bad_readings() -> None:
    """Of five readings one is null, one NaN and one of bad quality."""
    readings = pl.DataFrame(
        {"value": [1.0, None, float("nan"), 2.0, 3.0], "quality": [0, 0, 0, 2, None]}
    )
    assert health.good_share(readings) == pytest.approx(0.4)
    assert health.good_share(readings.clear()) is None


def test_waiting_lists_open_alarms_first_then_the_newest() -> None:
    """An alarm that cleared by itself still waits; an acknowledged one does not."""
    rows = pl.DataFrame(
        {
            "id": ["old", "new", "open", "seen"],
            "state": ["CLEARED", "CLEARED", "OPEN", "ACKNOWLEDGED"],
            "opened": [NOW - timedelta(days=d) for d in (3, 1, 2, 4)],
            "acknowledged": [None, None, None, NOW],
        }
    )
    assert health.waiting(rows)["id"].to_list() == ["open", "new", "old"]
