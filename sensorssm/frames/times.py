"""Times of any kind as nanoseconds, and how many steps lie between them."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import DataError, ShapeError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_YEARS = 292  # on either side of 1970 that nanoseconds in 64 bits can count


def time_ns(times: Any, rows: int, group: IntArray) -> IntArray | None:
    """Return times of any kind as int64 ns since 1970 in UTC, (n,); None without times.

    Raises
    ------
    ShapeError, DataError : not one a row; missing times, or such that do not increase within an
        asset, or that 64 bits cannot hold.
    """
    if times is None:
        return None
    stamps = _stamps(times)
    if stamps.shape != (rows,):
        raise ShapeError(f"times has shape {stamps.shape}, wanted ({rows},): one time a row")
    ahead = (np.diff(stamps) <= 0) & (group[1:] == group[:-1])
    if ahead.any():
        row = int(np.flatnonzero(ahead)[0]) + 1
        raise DataError(
            f"time in row {row} ({np.datetime64(int(stamps[row]), 'ns')}) is not after the row "
            f"before ({np.datetime64(int(stamps[row - 1]), 'ns')}). Sort by time and drop repeats."
        )
    return stamps


def _stamps(times: Any) -> IntArray:
    series = nw.from_native(times, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        if series.null_count():
            raise DataError(f"{series.null_count()} times are missing, wanted a time in every row")
        if series.dtype == nw.Datetime:
            series = series.dt.timestamp("ns")
            _refuse_far(bool(series.null_count()))
        times = series.to_numpy()
    if hasattr(times, "tz_convert") and times.tz is not None:  # a pandas index with a zone
        times = times.tz_convert("UTC").tz_localize(None)
    column = np.asarray(times)
    if np.issubdtype(column.dtype, np.datetime64):
        return _nanoseconds(column)
    if isinstance(times, nw.Series) or np.issubdtype(column.dtype, np.int64):
        return column.astype(np.int64)
    if np.issubdtype(column.dtype, np.floating):
        if np.isnan(column).any():
            raise DataError("some times are NaN, wanted a time in every row")
        _refuse_far(bool((np.abs(column) >= 2.0**63 / 1e9).any()))
        return np.round(column * 1e9).astype(np.int64)
    return _nanoseconds(_datetimes(column))


def _nanoseconds(column: NDArray[np.datetime64]) -> IntArray:
    if np.isnat(column).any():
        raise DataError("some times are NaT, wanted a time in every row")
    years = column.astype("datetime64[Y]").astype(np.int64)  # from 1970
    _refuse_far(bool((np.abs(years) >= _YEARS).any()))
    return column.astype("datetime64[ns]").astype(np.int64)


def _refuse_far(is_far: bool) -> None:
    """Raise DataError for times that would silently wrap around to some other century."""
    if is_far:
        raise DataError(
            "some times lie outside the years 1678 to 2261, which nanoseconds in 64 bits cannot "
            "hold. Correct or drop these rows."
        )


def _datetimes(column: NDArray[Any]) -> NDArray[np.datetime64]:
    try:
        return np.array(
            [np.datetime64(round(_utc(t).timestamp() * 1e6), "us") for t in column.ravel()],
            dtype="datetime64[us]",
        )
    except AttributeError as error:
        raise DataError(
            f"times are of type {column.dtype}, wanted datetimes, int64 nanoseconds or float "
            "seconds since 1970 in UTC"
        ) from error


def _utc(time: Any) -> Any:
    """Return a datetime with a zone; one without is UTC, whatever zone this machine is in."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def elapsed_steps(
    time: IntArray | None, group: IntArray, period_s: float | None
) -> tuple[FloatArray, float | None]:
    """Return steps since the asset's row before, (n,), and the seconds of a step; see `Window`."""
    ones = np.ones(len(group))
    if time is None:
        return ones, period_s
    inside = np.flatnonzero(group[1:] == group[:-1]) + 1
    steps = (time[inside] - time[inside - 1]) / 1e9
    if period_s is None:
        period_s = float(np.median(steps)) if len(steps) else 1.0
    ones[inside] = steps / period_s
    return ones, period_s
