"""A table with its time and asset columns taken off, and its readings as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import DataError, ShapeError
from sensorssm.frames.native import as_frame, own_times, refuse_text, row_count
from sensorssm.frames.times import elapsed_steps, time_ns
from sensorssm.names import ASSET, TIME

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


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
    frame = as_frame(X)
    if frame is None:
        data, rows = X, row_count(X)
    else:
        rows = len(frame)
        times = own_times(frame, time) if times is None else times
        groups = frame[asset] if groups is None and asset in frame.columns else groups
        frame = frame.drop([name for name in (time, asset) if name in frame.columns])
        refuse_text(frame)
        data = frame.to_native()
    group, names = _group_codes(groups, rows)
    return Table(data, time_ns(times, rows, group), group, names)


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
    frame = as_frame(table.data)
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
        elapsed, period_s = elapsed_steps(table.time, table.group, period_s)
    return Window(values, elapsed, table.time, period_s, table.group, table.groups, names)


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
