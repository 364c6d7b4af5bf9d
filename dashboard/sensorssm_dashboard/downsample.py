"""Fewer rows that draw the same line: extremes stay, and a gap stays a gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tsdownsample import MinMaxLTTBDownsampler

#: About one point for each pixel of a wide chart; more would only be drawn over each other.
POINTS: Final = 1200
_LEAST = 4  # points of a run: its two ends and its two extremes


def thin(readings: pl.DataFrame, columns: Sequence[str], *, points: int = POINTS) -> pl.DataFrame:
    """Return about `points` rows of `readings` that draw the same picture of `columns`.

    The rows are picked by MinMaxLTTB within each run of unbroken readings, together with the
    run's ends and each column's extremes. Between two runs stands one row of nulls, so that a
    chart does not bridge the gap. A run is broken by a row in which a column is null or NaN, and
    by a step in time of more than one and a half periods.

    Parameters
    ----------
    readings : DataFrame ordered by its column ``time``
    columns : the columns that are drawn together; a row counts when all of them are known
    points : rows wanted. Every run keeps at least four, so many gaps give more rows, up to
        about ``5 * points``: beyond that, gaps narrower than a pixel (the whole span over
        `points`) are not broken.

    Returns
    -------
    DataFrame with ``time`` and `columns`

    References
    ----------
    Van Der Donckt et al. 2023, MinMaxLTTB, arXiv:2305.00332.
    """
    drawn = readings.select("time", *columns)
    known = drawn.filter(*(pl.col(name).is_finite() for name in columns))
    if known.is_empty():
        return known
    time = known["time"].dt.epoch("us").to_numpy()
    starts = _run_starts(time, _broken_before(drawn, columns), points)
    stops = np.append(starts[1:], time.size)
    values = [known[name].to_numpy().astype(np.float64) for name in columns]
    keep = np.concatenate(
        [
            _pick(time[start:stop], [y[start:stop] for y in values], points, time.size) + start
            for start, stop in zip(starts, stops, strict=True)
        ]
    )
    middles = (time[stops[:-1] - 1] + time[starts[1:]]) // 2
    breaks = pl.DataFrame({"time": pl.Series(middles).cast(known.schema["time"])})
    return pl.concat([known[keep], breaks], how="diagonal").sort("time", maintain_order=True)


def _broken_before(drawn: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Return, for each known row, whether an unknown row lies between it and the one before."""
    known = drawn.select(pl.all_horizontal(pl.col(c).is_finite() for c in columns).fill_null(False))
    at = np.flatnonzero(known.to_series().to_numpy())
    return np.diff(at, prepend=at[:1] - 1) > 1


def _run_starts(
    time: NDArray[np.int64], broken: NDArray[np.bool_], points: int
) -> NDArray[np.int64]:
    steps = np.diff(time, prepend=time[0])
    period = np.median(steps[1:]) if steps.size > 1 else 0
    broken = broken | (steps > 1.5 * period)
    if broken.sum() > points:
        broken &= steps > (time[-1] - time[0]) / points
    broken[0] = True
    return np.flatnonzero(broken)


def _pick(
    time: NDArray[np.int64], values: Sequence[NDArray[np.float64]], points: int, total: int
) -> NDArray[np.int64]:
    """Return the rows of one run to keep, in order."""
    share = max(points * time.size // (total * len(values)), _LEAST)
    if time.size <= share:
        return np.arange(time.size)
    # MinMaxLTTB may still drop an extreme that shares its bucket with a larger triangle.
    picks = [np.array([0, time.size - 1])]
    for y in values:
        chosen = MinMaxLTTBDownsampler().downsample(time, np.ascontiguousarray(y), n_out=share)
        picks += [chosen.astype(np.int64), np.array([y.argmin(), y.argmax()])]
    return np.unique(np.concatenate(picks))
