"""Live, old or recorded: the banner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm_dashboard.freshness import Freshness, judge

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SPAN = (NOW - timedelta(days=200), NOW - timedelta(days=100))
TIME = pl.Datetime("us", "UTC")


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def heartbeat(*beats: tuple[str, datetime | None]) -> pl.DataFrame:
    schema = {"process": pl.String, "event_time": TIME, "wall_time": TIME, "lag_rows": pl.Int64}
    rows = [(name, wall, wall, 0) for name, wall in beats]
    return pl.DataFrame(rows, schema=schema, orient="row")


def latest(*times: datetime) -> pl.DataFrame:
    names = [f"P-{n}" for n in range(len(times))]
    return pl.DataFrame({"asset": names, "time": times}, schema={"asset": pl.String, "time": TIME})


def verdict(beats: pl.DataFrame, rows: pl.DataFrame, covered=SPAN) -> Freshness:
    return judge(beats, rows, lambda: covered, NOW)


def test_recent_beat_and_recent_reading_are_live() -> None:
    """Both clocks must be recent."""
    assert verdict(heartbeat(("scored", ago(seconds=3))), latest(ago(minutes=4))).is_live


@pytest.mark.parametrize(("seconds", "kind"), [(29, "live"), (31, "stale"), (86_400, "stale")])
def test_a_silent_process_is_old_data(seconds: int, kind: str) -> None:
    """Thirty seconds without a sign of life end the claim of being live."""
    fresh = verdict(heartbeat(("scored", ago(seconds=seconds))), latest(ago(minutes=1)))
    assert fresh.kind == kind


def test_a_process_that_runs_on_old_readings_is_old_data() -> None:
    """Health is the age of the last reading, not that a process is alive."""
    fresh = verdict(heartbeat(("scored", ago(seconds=1))), latest(ago(hours=3)))
    assert fresh.kind == "stale"
    assert "3 h old" in fresh.message


def test_the_oldest_process_decides() -> None:
    """One dead process of two makes the data old, and the banner names it."""
    beats = heartbeat(("ingestd", ago(hours=2)), ("scored", ago(seconds=1)))
    fresh = verdict(beats, latest(ago(minutes=1)))
    assert fresh.kind == "stale"
    assert "ingestd" in fresh.message


def test_a_process_that_never_beat_is_old_data() -> None:
    """A heartbeat without a time is no sign of life."""
    assert verdict(heartbeat(("scored", None)), latest(ago(minutes=1))).kind == "stale"


def test_times_of_the_future_are_not_live() -> None:
    """A clock that runs ahead would look fresh for ever."""
    fresh = verdict(heartbeat(("scored", ago(hours=-5))), latest(ago(minutes=1)))
    assert fresh.kind == "stale"
    assert "Clocks disagree" in fresh.message


def test_a_process_without_readings_is_not_live() -> None:
    """Nothing has come yet."""
    empty = heartbeat(("scored", NOW)).with_columns(event_time=pl.lit(None, dtype=TIME))
    assert verdict(empty, latest()).kind == "stale"


@pytest.mark.parametrize("process", ["replay", "demo", "Backtest of P-101", "run ett"])
def test_a_replay_never_looks_live(process: str) -> None:
    """However recent its heartbeat, a replay is named with the span it covers."""
    fresh = verdict(heartbeat((process, NOW)), latest(ago(days=100)))
    assert fresh.kind == "replay"
    assert "2025-08-13 to 2025-11-21" in fresh.message
    assert "Replay of" in fresh.message
    assert "100 d old" in fresh.message


def test_a_store_without_heartbeat_is_a_record() -> None:
    """A batch job's store claims nothing."""
    fresh = verdict(heartbeat(), latest(ago(minutes=1)))
    assert fresh.kind == "replay"
    assert fresh.message.startswith("Stored results of")


def test_an_empty_store_has_no_data() -> None:
    """No span, no claim."""
    assert verdict(heartbeat(), latest(), covered=None).kind == "empty"


def test_a_hostile_process_name_is_escaped() -> None:
    """The banner is Markdown; the name of a process is not."""
    fresh = verdict(heartbeat(("<b>[x](y)</b>", ago(hours=1))), latest(ago(minutes=1)))
    assert "[x]" not in fresh.message


def test_recorded_readings_ahead_of_the_clock_are_told_so() -> None:
    """A time zone given wrong puts them there; an age below zero would say nothing."""
    fresh = verdict(heartbeat(("replay", NOW)), latest(), (SPAN[0], NOW + timedelta(hours=2)))
    assert "2 h ahead of this machine's clock" in fresh.message
