"""The grid: its size is refused before it is made, and labels stand where their readings do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm.errors import DataError
from sensorssm_pipelines.ingest import grid

START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def readings(minutes: dict[str, list[int]], asset: str = "p") -> pl.DataFrame:
    """Return one reading of each tag at its own minutes, as ingestion hands them to the grid."""
    rows = [(asset, tag, START + m * MINUTE) for tag, at in minutes.items() for m in at]
    frame = pl.DataFrame(rows, schema=["asset", "tag", "time"], orient="row")
    return frame.with_columns(
        pl.col("asset", "tag").cast(pl.Categorical),
        pl.col("time").cast(pl.Datetime("us", "UTC")),
        value=pl.lit(1.0),
        quality=pl.lit(0, pl.UInt8),
    )


def spans(*minutes: tuple[float, float]) -> pl.DataFrame:
    rows = [(START + a * MINUTE, START + b * MINUTE) for a, b in minutes]
    schema = dict.fromkeys(("started", "ended"), pl.Datetime("us", "UTC"))
    return pl.DataFrame(rows, schema=schema, orient="row")


@pytest.mark.parametrize("step", [None, MINUTE])
def test_a_grid_beyond_the_limit_is_refused_with_its_counts(
    monkeypatch: pytest.MonkeyPatch, step: timedelta | None
) -> None:
    """Two tags at 4 and 3 minutes of their own are 7 times of 2 tags: 14 cells, one too many."""
    rows = readings({"a": [0, 2, 4, 6], "b": [1, 3, 5]})
    monkeypatch.setattr(grid, "_MOST_CELLS", 14)
    assert grid.to_grid(rows, step).height == 14
    monkeypatch.setattr(grid, "_MOST_CELLS", 13)
    with pytest.raises(DataError, match=r"14 cells; at most 13 .* 7 times of 2 tags"):
        grid.to_grid(rows, step)


def test_the_largest_asset_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the asset to look at, not the last one read."""
    rows = pl.concat([readings({"a": [*range(9)]}, "big"), readings({"a": [0, 1]}, "small")])
    monkeypatch.setattr(grid, "_MOST_CELLS", 10)
    with pytest.raises(DataError, match="Asset 'big' has the most: 9 times of 1 tags"):
        grid.to_grid(rows, None)


def test_a_labelled_span_marks_the_rows_that_hold_its_readings() -> None:
    """A grid row holds the readings of the step before it, so a span moves with its readings."""
    inside = spans((1, 8))  # readings of minutes 1 to 7: rows 5 and 10, of which 10 is mixed
    found = grid.labels_to_grid(inside, 5 * MINUTE)
    assert found.rows() == spans((5, 10)).rows()
    assert grid.labels_to_grid(found, 5 * MINUTE).rows() == found.rows()


def test_a_fault_shorter_than_a_step_still_marks_a_row() -> None:
    """Minutes 6 and 7 lie between the rows of minutes 5 and 10; the row of 10 holds them."""
    assert grid.labels_to_grid(spans((6, 8)), 5 * MINUTE).rows() == spans((10, 15)).rows()


def test_without_a_step_labels_keep_their_times() -> None:
    assert grid.labels_to_grid(spans((6, 8)), None).rows() == spans((6, 8)).rows()


def test_the_mean_of_huge_readings_is_finite() -> None:
    """Their sum is not a number that a float can hold; an infinite cell would stop every model."""
    rows = readings({"a": [1, 2, 3]}).with_columns(value=pl.Series([1e308, 1.5e308, 1e308]))
    [mean] = grid.to_grid(rows, 5 * MINUTE)["value"]
    assert mean == pytest.approx(1e308 * (3.5 / 3))
