"""The one door for data: any table in, a `Window` of plain arrays, an answer in the caller's kind.

numpy arrays, Polars (eager and lazy), pandas and Arrow tables come in through narwhals; nothing
else in the library knows what a frame is. A frame's time and asset columns are taken off here,
because scikit-learn would silently read a datetime column as one more sensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import DataError, ShapeError
from sensorssm.names import ASSET, TIME

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
_YEARS = 292  # on either side of 1970 that nanoseconds in 64 bits can count


@dataclass(frozen=True)
class Table:
    """Readings with the time and asset columns taken off; `data` is what scikit-learn checks."""

    data: Any
    time: IntArray | None
    group: IntArray
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Window:
    """Readings as plain arrays: n rows (time) of M tags.

    Attributes
    ----------
    values : (n, M) float64, C order; NaN is a missing reading
    elapsed : (n,) float64, positive: steps of `period_s` since the asset's reading before; 1 on a
        regular grid, without times, and in an asset's first row
    time : (n,) int64, ns since 1970 in UTC, or None
    period_s : seconds of a grid step, or None without times
    group : (n,) int64, the row's asset as a number into `groups`; equal numbers are contiguous
    groups : the assets' names
    names : the tags' names, or None for an array
    """

    values: FloatArray
    elapsed: FloatArray
    time: IntArray | None
    period_s: float | None
    group: IntArray
    groups: tuple[str, ...]
    names: tuple[str, ...] | None

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where a reading is present, (n, M)."""
        return np.isfinite(self.values)

    @property
    def starts(self) -> IntArray:
        """Return the first row of each asset, in row order; the state is reset there."""
        return np.flatnonzero(np.r_[True, self.group[1:] != self.group[:-1]])[: len(self.group)]


def open_table(
    X: Any, *, times: Any = None, groups: Any = None, time: str = TIME, asset: str = ASSET
) -> Table:
    """Take the time and asset columns off `X`; `times` and `groups` replace them.

    Raises
    ------
    DataError : times that do not increase within an asset, assets that are not contiguous rows,
        a column that is not a number.
    """
    frame = _as_frame(X)
    if frame is None:
        data, rows = X, _row_count(X)
    else:
        rows = len(frame)
        times = _own_times(frame, time) if times is None else times
        groups = frame[asset] if groups is None and asset in frame.columns else groups
        frame = frame.drop([name for name in (time, asset) if name in frame.columns])
        _refuse_text(frame)
        data = frame.to_native()
    group, names = _group_codes(groups, rows)
    return Table(data, _time_ns(times, rows, group), group, names)


def to_window(
    X: Any,
    *,
    times: Any = None,
    groups: Any = None,
    time: str = TIME,
    asset: str = ASSET,
    period_s: float | None = None,
) -> Window:
    """Return `X` as a `Window`; see `open_table` for what is taken off and what is refused."""
    table = open_table(X, times=times, groups=groups, time=time, asset=asset)
    frame = _as_frame(table.data)
    if frame is None:
        values = np.array(table.data, dtype=np.float64, order="C", ndmin=2)
        return window_of(table, values, names=None, period_s=period_s)
    values = np.ascontiguousarray(frame.to_numpy(), dtype=np.float64)
    return window_of(table, values, names=tuple(frame.columns), period_s=period_s)


def window_of(
    table: Table,
    values: FloatArray,
    *,
    names: tuple[str, ...] | None,
    period_s: float | None = None,
    regular: bool = False,
) -> Window:
    """Join checked `values` (n, M) with the times and assets of `table`.

    `period_s` is the fitted grid step in seconds; by default the median step of the times. With
    `regular` every row is one step after the one before, whatever the times: a model that was
    fitted without times knows no step to measure them in.
    """
    values = np.ascontiguousarray(values, dtype=np.float64)
    if len(values) != len(table.group):
        raise ShapeError(f"{len(values)} rows of values for {len(table.group)} rows of the table")
    if regular:
        elapsed = np.ones(len(values))
    else:
        elapsed, period_s = _elapsed(table.time, table.group, period_s)
    return Window(values, elapsed, table.time, period_s, table.group, table.groups, names)


def like(X: Any, columns: Mapping[str, ArrayLike]) -> Any:
    """Return `columns` as a frame of the caller's own kind; for an array, stacked as (n, k)."""
    frame = _as_frame(X)
    if frame is None:
        return np.column_stack([np.asarray(column) for column in columns.values()])
    data = {name: np.asarray(column) for name, column in columns.items()}
    return nw.from_dict(data, backend=frame.implementation).to_native()


def column_names(X: Any) -> tuple[str, ...]:
    """Return the names of a frame's columns; none of an array's."""
    frame = _as_frame(X)
    return () if frame is None else tuple(frame.columns)


def replaced(X: Any, columns: Mapping[str, ArrayLike]) -> Any:
    """Return the frame `X` with some of its columns replaced; for an array, stacked as (n, k)."""
    frame = _as_frame(X)
    if frame is None:
        return like(X, columns)
    backend = frame.implementation
    new = [nw.new_series(name, np.asarray(c), backend=backend) for name, c in columns.items()]
    return frame.with_columns(*new).to_native()


def is_frame(X: Any) -> bool:
    """Say whether `X` is a table with named columns."""
    return _as_frame(X, collect=False) is not None


def _as_frame(X: Any, *, collect: bool = True) -> Any:
    if isinstance(X, np.ndarray | list | tuple) or hasattr(X, "toarray"):
        return None
    try:
        native = nw.from_native(X, pass_through=True)
    except DuplicateError as error:
        raise DataError(f"two columns have one name, wanted each tag once. {error}") from error
    if isinstance(native, nw.LazyFrame):
        return native.collect() if collect else native
    if isinstance(native, nw.DataFrame):
        return native
    if hasattr(X, "__arrow_c_stream__"):  # a record batch, a reader: Arrow's own interchange
        return nw.DataFrame.from_arrow(X, backend="pyarrow")
    return None


def _own_times(frame: Any, time: str) -> Any:
    if time in frame.columns:
        return frame[time]
    index = nw.maybe_get_index(frame)  # pandas: a DatetimeIndex is a time column
    return index if str(getattr(index, "dtype", "")).startswith("datetime64") else None


def _refuse_text(frame: Any) -> None:
    for name, dtype in frame.schema.items():
        if dtype.is_numeric() or dtype in (nw.Boolean, nw.Unknown):
            continue
        if dtype == nw.Object:  # scikit-learn converts these, or says why not
            continue
        raise DataError(
            f"column {name!r} is of type {dtype}, wanted numbers. Name the time column {TIME!r} "
            f"and the asset column {ASSET!r}, and leave other text out."
        )


def _row_count(X: Any) -> int:
    shape = getattr(X, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else 0
    return len(X) if hasattr(X, "__len__") else len(np.asarray(X))  # only an __array__


def _group_codes(groups: Any, rows: int) -> tuple[IntArray, tuple[str, ...]]:
    if groups is None:
        return np.zeros(rows, dtype=np.int64), ("",)
    found = np.asarray(groups)
    if found.dtype.kind in "fO" and any(_is_missing(asset) for asset in found.ravel()):
        raise DataError("some rows name no asset, wanted one in every row; drop or name them")
    column = found.astype(str)
    if column.shape != (rows,):
        raise ShapeError(f"groups has shape {column.shape}, wanted ({rows},): one asset a row")
    names, codes = np.unique(column, return_inverse=True)
    changes = int(np.count_nonzero(codes[1:] != codes[:-1])) + 1 if rows else 0
    if changes != len(names):
        raise DataError(
            f"the rows of {len(names)} assets are interleaved, wanted one asset after the other. "
            "Sort by asset, then time."
        )
    return codes.astype(np.int64), tuple(str(name) for name in names)


def _is_missing(name: Any) -> bool:
    """Say whether a name is None, NaN, NaT or pandas' NA; the text "nan" is a name."""
    return not isinstance(name, str) and str(name) in ("None", "nan", "NaT", "<NA>")


def _time_ns(times: Any, rows: int, group: IntArray) -> IntArray | None:
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


def _elapsed(
    time: IntArray | None, group: IntArray, period_s: float | None
) -> tuple[FloatArray, float | None]:
    ones = np.ones(len(group))
    if time is None:
        return ones, period_s
    inside = np.flatnonzero(group[1:] == group[:-1]) + 1
    steps = (time[inside] - time[inside - 1]) / 1e9
    if period_s is None:
        period_s = float(np.median(steps)) if len(steps) else 1.0
    ones[inside] = steps / period_s
    return ones, period_s
