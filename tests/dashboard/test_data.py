"""Reads are cached until the files below change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm_dashboard import choose, data
from sensorssm_pipelines.store import Store


def test_an_unchanged_store_is_read_once(build_store) -> None:
    """The same frame comes back, not a copy."""
    store = build_store()
    assert data.read(store, "latest") is data.read(store, "latest")
    assert data.read(store, "readings", "P-101") is data.read(store, "readings", "P-101")


def test_a_write_is_seen_at_once(build_store) -> None:
    """An acknowledgement, and new history, appear on the next read."""
    store = build_store()
    data.read(store, "alarms"), data.read(store, "readings", "P-101")
    store.acknowledge(store.read_alarms()["id"][0], "Ada", "seen")
    assert "Ada" in data.read(store, "alarms")["acknowledged_by"].to_list()
    late = pl.DataFrame(
        {
            "asset": "P-101",
            "time": [datetime(2026, 1, 20, tzinfo=UTC)],
            "tag": "FI-101",
            "value": 1.0,
            "quality": 0,
        }
    )
    store.write_readings(late)
    assert data.read(store, "readings", "P-101")["time"].max() == late["time"][0]


def test_covered_prefers_scores_and_falls_back_to_readings(build_store, tmp_path) -> None:
    """A store without a model is covered by its readings; an empty one by nothing."""
    span = (datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 14, 23, 50, tzinfo=UTC))
    assert data.covered(build_store(), "P-101") == span
    assert data.covered(build_store("plain", scored=False), "P-101") == span
    assert data.covered(Store(tmp_path / "empty")) is None


def test_scores_of_two_models_are_not_mixed(build_store) -> None:
    """A line through both would zigzag; the model that scored last is shown."""
    store = build_store()
    other = store.read_scores("P-101").with_columns(model=pl.lit("a-old"), score=pl.lit(9.0))
    store.write_scores(other.head(500))
    shown = data.scores(store, "P-101")
    assert shown["model"].unique().to_list() == ["ssm"]
    assert shown["time"].is_unique().all()


@pytest.mark.parametrize("lasted", [0, 1, 5, 30, 200, 2_000])
def test_around_shows_an_alarm_whole(lasted: float) -> None:
    """The span around an alarm of up to four weeks holds its start and its end."""
    opened = datetime(2026, 1, 20, tzinfo=UTC)
    cleared = opened + timedelta(hours=lasted)
    length, end = choose.around(opened, cleared if lasted else None)
    width = choose.SPANS[length]
    assert width is not None
    assert end > min(cleared, opened + width - timedelta(minutes=1))
    assert end - width < opened or lasted > 600


def test_the_stamp_changes_when_anything_is_written_and_by_no_look(build_store) -> None:
    """Rows in the database, a file of history; reading all of it leaves the stamp as it was."""
    store = build_store()
    stamps = [data.stamp(store)]
    for table in ("scores", "readings", "runs", "skill"):
        data.read(store, table)
    assert data.stamp(store) == stamps[0]
    store.write_runs(store.read_runs().with_columns(status=pl.lit("FAILED")))
    stamps.append(data.stamp(store))
    store.write_readings(store.read_readings("P-101").tail(1).with_columns(value=pl.lit(7.0)))
    stamps.append(data.stamp(store))
    assert len(set(stamps)) == 3
