"""Which alarm found which known fault: one definition for the report and the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm_pipelines.alarms import match_faults
from sensorssm_pipelines.store import schema

START = datetime(2026, 1, 5, tzinfo=UTC)


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def labels(*faults: tuple[str, float, float]) -> pl.DataFrame:
    rows = [
        {"asset": asset, "started": hour(low), "ended": hour(high), "kind": "leak", "tag": "flow"}
        for asset, low, high in faults
    ]
    return pl.DataFrame(rows, schema=schema.LABELS.schema)


def alarms(*raised: tuple[str, float, float | None]) -> pl.DataFrame:
    rows = [
        {
            "asset": asset,
            "opened": hour(opened),
            "cleared": None if cleared is None else hour(cleared),
            "first_tag": f"tag {opened:g}",
        }
        for asset, opened, cleared in raised
    ]
    return pl.DataFrame(rows, schema=schema.ALARMS.schema)


SCORED = pl.DataFrame({"asset": ["a", "b"], "begin": [START] * 2, "end": [hour(100)] * 2})


def test_the_first_alarm_that_opens_in_a_fault_finds_it() -> None:
    found = match_faults(labels(("a", 10, 20)), alarms(("a", 15, 16), ("a", 12, None)), SCORED)
    [fault] = found.to_dicts()
    assert (fault["found"], fault["late"]) == (True, timedelta(hours=2))
    assert fault["first_tag"] == "tag 12"


@pytest.mark.parametrize(
    "alarm",
    [
        ("b", 12, 13),  # on another asset
        ("a", 5, None),  # open already, and still
        ("a", 9.99, 12),
        ("a", 20, 21),  # the end is outside
    ],
)
def test_other_alarms_find_nothing(alarm: tuple[str, float, float | None]) -> None:
    [fault] = match_faults(labels(("a", 10, 20)), alarms(alarm), SCORED).to_dicts()
    assert (fault["found"], fault["late"], fault["first_tag"]) == (False, None, None)


def test_one_alarm_may_find_two_faults_at_once() -> None:
    """Faults overlap in a plant; each that holds the alarm's opening is found."""
    found = match_faults(labels(("a", 10, 20), ("a", 11, 30)), alarms(("a", 12, 13)), SCORED)
    assert found["late"].to_list() == [timedelta(hours=2), timedelta(hours=1)]


def test_faults_outside_the_scored_time_are_left_out() -> None:
    """Ended before its asset's first score, begun after its last, or on an asset without scores."""
    known = labels(("a", -9, 0), ("a", 101, 102), ("c", 1, 2), ("b", 99, 300), ("a", -9, 1))
    found = match_faults(known, alarms(), SCORED)
    assert found.select("asset", "started").rows() == [("a", hour(-9)), ("b", hour(99))]
