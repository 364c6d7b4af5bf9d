"""The load on people, counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm_pipelines.alarms import AlarmLoad, alarm_load

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def alarms(*rows: tuple[str, timedelta, timedelta | None]) -> pl.DataFrame:
    """Return alarms of (asset, opened after START, lasted)."""
    return pl.DataFrame(
        [
            {
                "asset": asset,
                "rule": "anomaly",
                "opened": START + after,
                "cleared": None if lasted is None else START + after + lasted,
            }
            for asset, after, lasted in rows
        ],
        schema_overrides={"cleared": pl.Datetime("us", "UTC")},
    )


def test_a_calm_week_and_its_figures() -> None:
    """Seven alarms in a week: one stands, one comes back, four of seven are of one asset."""
    rows = alarms(
        ("a", 0 * HOUR, HOUR),
        ("a", 1.5 * HOUR, HOUR),  # half an hour after the last one cleared
        ("b", 2 * HOUR, HOUR),  # of another asset
        ("a", 9 * HOUR, HOUR),
        ("b", 30 * HOUR, 25 * HOUR),
        ("c", 90 * HOUR, HOUR),
        ("a", 167 * HOUR, None),  # still open, for an hour
    )
    load = alarm_load(rows, START, START + 168 * HOUR)
    assert load == AlarmLoad(1.0, 1, 0.0, 1, 1, "a", pytest.approx(4 / 7))


def test_a_flood_is_more_than_ten_in_ten_minutes() -> None:
    """Eleven alarms in one window of an hour's six are a flood for a sixth of the time."""
    second = timedelta(seconds=1)
    rows = alarms(*((f"a{k}", k * second, HOUR) for k in range(11)))
    load = alarm_load(rows, START, START + HOUR)
    assert (load.most, load.flood, load.per_day) == (11, pytest.approx(1 / 6), 11.0)
    assert alarm_load(rows.head(10), START, START + HOUR).flood == 0.0


def test_alarms_of_another_time_do_not_count() -> None:
    rows = alarms(("a", -HOUR, HOUR), ("a", 3 * HOUR, HOUR))
    nothing = AlarmLoad(0.0, 0, 0.0, 0, 0, None, 0.0)
    assert alarm_load(rows, START, START + HOUR) == nothing
    assert alarm_load(rows.clear(), START, START) == nothing


def test_an_alarm_that_stands_is_counted_while_it_does() -> None:
    rows = alarms(("a", 0 * HOUR, None))
    assert alarm_load(rows, START, START + 24 * HOUR).standing == 0
    assert alarm_load(rows, START, START + 25 * HOUR).standing == 1
