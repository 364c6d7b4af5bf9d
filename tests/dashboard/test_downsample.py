"""Downsampling: fewer rows, the same picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from sensorssm_dashboard.downsample import thin

START = datetime(2026, 1, 5, tzinfo=UTC)


def readings(values: np.ndarray, step: timedelta = timedelta(seconds=10)) -> pl.DataFrame:
    time = pl.datetime_range(
        START, START + step * (len(values) - 1), step, time_unit="us", eager=True
    )
    return pl.DataFrame({"time": time, "value": values})


def wave(n: int) -> np.ndarray:
    return np.sin(np.arange(n) / 300) + np.random.default_rng(0).normal(0, 0.05, n)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 63, 64, 65])
def test_a_short_series_is_left_as_it_is(n: int) -> None:
    """Nothing is dropped, and nothing added, where there are fewer rows than points."""
    frame = readings(wave(n))
    assert thin(frame, ["value"], points=1200).equals(frame)


def test_a_long_series_shrinks_to_the_points_wanted() -> None:
    """A hundred thousand rows become about a thousand, all of them rows that were measured."""
    frame = readings(wave(100_000))
    kept = thin(frame, ["value"], points=1000)
    assert 800 <= kept.height <= 1010
    assert kept.join(frame, on=["time", "value"], how="anti").is_empty()


@pytest.mark.parametrize("at", [0, 1, 49_999, 77_777, 99_998, 99_999])
@pytest.mark.parametrize("size", [40.0, -40.0])
def test_a_lone_extreme_survives(at: int, size: float) -> None:
    """One spike in a hundred thousand rows is still drawn, wherever it is."""
    values = wave(100_000)
    values[at] = size
    kept = thin(readings(values), ["value"], points=200)
    assert kept.filter(value=size).height == 1


def test_two_extremes_in_one_bucket_both_survive() -> None:
    """The highest and the lowest reading may be neighbours."""
    values = wave(100_000)
    values[5_000:5_002] = 40.0, -40.0
    kept = thin(readings(values), ["value"], points=200)["value"]
    assert (kept.min(), kept.max()) == (-40.0, 40.0)


def envelope_error(frame: pl.DataFrame, kept: pl.DataFrame, columns: int) -> float:
    """Return how far the drawn line is from the readings' range, on average over pixel columns.

    The oracle draws both: the range of all readings in each column, and the range of the kept
    ones joined by straight lines.
    """
    at = frame["time"].dt.epoch("us").to_numpy()
    drawn = np.interp(at, kept["time"].dt.epoch("us").to_numpy(), kept["value"].to_numpy())
    whole = np.array_split(frame["value"].to_numpy(), columns)
    line = np.array_split(drawn, columns)
    pairs = zip(whole, line, strict=True)
    return float(np.mean([max(abs(a.max() - b.max()), abs(a.min() - b.min())) for a, b in pairs]))


def test_the_line_covers_the_same_pixels() -> None:
    """Each of 100 pixel columns differs by a noise's width; every fiftieth row does worse."""
    frame = readings(wave(60_000))  # noise of 0.05
    kept = thin(frame, ["value"], points=1200)
    assert envelope_error(frame, kept, 100) < 0.08
    assert envelope_error(frame, frame.gather_every(50), 100) > 0.1


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_gap_of_unknown_values_stays_a_gap(missing: float | None) -> None:
    """Between the runs stands a row without a value, so no line bridges the gap."""
    frame = readings(wave(50_000)).with_columns(
        value=pl.when(pl.int_range(pl.len()).is_between(20_000, 20_500))
        .then(pl.lit(missing, dtype=pl.Float64))
        .otherwise("value")
    )
    kept = thin(frame, ["value"], points=600)
    [gap] = kept.filter(pl.col("value").is_null())["time"].to_list()
    assert frame["time"][20_000] <= gap <= frame["time"][20_500]
    assert {frame["time"][19_999], frame["time"][20_501]} <= set(kept["time"])
    assert kept["value"].is_nan().sum() == 0


def test_a_gap_of_missing_rows_stays_a_gap() -> None:
    """A time that simply is not there breaks the line as a null does."""
    frame = readings(wave(1_000)).filter(~pl.int_range(pl.len()).is_between(400, 420))
    kept = thin(frame, ["value"])
    assert kept["value"].null_count() == 1
    assert kept.height == frame.height + 1


def test_a_reading_alone_between_gaps_is_kept() -> None:
    """A run of one row has no line, but it was measured."""
    values = np.full(2_001, np.nan)
    values[:900] = 1.0
    values[1_000] = 7.0
    values[1_100:] = 1.0
    kept = thin(readings(values), ["value"], points=100)
    assert 7.0 in kept["value"].to_list()
    assert kept["value"].null_count() == 2


def test_flickering_data_stay_bounded() -> None:
    """When every second reading is missing, gaps narrower than a pixel are not drawn."""
    values = wave(200_000)
    values[1::2] = np.nan
    values[100_000:110_000] = np.nan
    kept = thin(readings(values), ["value"], points=500)
    assert kept.height < 5 * 500
    assert kept["value"].null_count() == 1  # the one wide gap is


def test_columns_drawn_together_share_rows_and_keep_their_own_extremes() -> None:
    """A band's edges are thinned together, and each edge keeps its farthest point."""
    frame = readings(wave(50_000)).rename({"value": "lower"}).with_columns(upper=wave(50_000) + 1)
    lower, upper = frame["lower"].to_numpy().copy(), frame["upper"].to_numpy().copy()
    lower[123], upper[45_678] = -30.0, 30.0
    kept = thin(frame.with_columns(lower=lower, upper=upper), ["lower", "upper"], points=400)
    assert (kept["lower"].min(), kept["upper"].max()) == (-30.0, 30.0)
    assert kept.height <= 420


def test_nothing_known_gives_no_rows() -> None:
    """An empty frame, and one in which nothing is known, give no rows and keep the schema."""
    empty = readings(wave(10)).clear()
    unknown = readings(np.full(10, np.nan))
    assert thin(empty, ["value"]).schema == empty.schema
    assert thin(unknown, ["value"]).is_empty()


def test_one_time_only_is_no_division_by_zero() -> None:
    """Rows that share one time are kept."""
    frame = pl.concat([readings(wave(1))] * 3)
    assert thin(frame, ["value"]).height == 3
