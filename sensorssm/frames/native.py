"""The caller's own kind of table: whatever narwhals can read, and answers in the same kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from numpy.typing import ArrayLike

from sensorssm.errors import DataError
from sensorssm.names import ASSET, TIME


def like(X: Any, columns: Mapping[str, ArrayLike]) -> Any:
    """Return `columns` as a frame of the caller's own kind; for an array, stacked as (n, k)."""
    frame = as_frame(X)
    if frame is None:
        return np.column_stack([np.asarray(column) for column in columns.values()])
    data = {name: np.asarray(column) for name, column in columns.items()}
    return nw.from_dict(data, backend=frame.implementation).to_native()


def column_names(X: Any) -> tuple[str, ...]:
    """Return the names of a frame's columns; none of an array's."""
    frame = as_frame(X)
    return () if frame is None else tuple(frame.columns)


def replaced(X: Any, columns: Mapping[str, ArrayLike]) -> Any:
    """Return the frame `X` with some of its columns replaced; for an array, stacked as (n, k)."""
    frame = as_frame(X)
    if frame is None:
        return like(X, columns)
    backend = frame.implementation
    new = [nw.new_series(name, np.asarray(c), backend=backend) for name, c in columns.items()]
    return frame.with_columns(*new).to_native()


def is_frame(X: Any) -> bool:
    """Say whether `X` is a table with named columns."""
    return as_frame(X, collect=False) is not None


def as_frame(X: Any, *, collect: bool = True) -> Any:
    """Return `X` as a narwhals frame, None where it is an array.

    Raises
    ------
    DataError : two columns have one name.
    """
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


def own_times(frame: Any, time: str) -> Any:
    """Return a frame's column of times, or pandas' index of them; None without either."""
    if time in frame.columns:
        return frame[time]
    index = nw.maybe_get_index(frame)  # pandas: a DatetimeIndex is a time column
    return index if str(getattr(index, "dtype", "")).startswith("datetime64") else None


def refuse_text(frame: Any) -> None:
    """Raise DataError for a column that is not of numbers."""
    for name, dtype in frame.schema.items():
        if dtype.is_numeric() or dtype in (nw.Boolean, nw.Unknown):
            continue
        if dtype == nw.Object:  # scikit-learn converts these, or says why not
            continue
        raise DataError(
            f"column {name!r} is of type {dtype}, wanted numbers. Name the time column {TIME!r} "
            f"and the asset column {ASSET!r}, and leave other text out."
        )


def row_count(X: Any) -> int:
    """Return the rows of what is no frame."""
    shape = getattr(X, "shape", None)
    if shape is not None:
        return int(shape[0]) if len(shape) else 0
    return len(X) if hasattr(X, "__len__") else len(np.asarray(X))  # only an __array__
