"""What the anomaly measures take in: flags, scores and intervals, checked at one door."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import DataError, ShapeError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def as_flags(given: ArrayLike, name: str) -> BoolArray:
    """Return 0/1 or boolean `given` (n,) as flags.

    Raises
    ------
    ShapeError, DataError : not one dimension; a value other than 0 and 1. A detector's own -1 and
        +1 would otherwise count every normal row as an alarm.
    """
    values = np.asarray(given)
    if values.ndim != 1:
        raise ShapeError(f"{name} has shape {values.shape}, wanted (n,)")
    flags = values == 1
    odd = np.flatnonzero(~(flags | (values == 0)))
    if len(odd):
        raise DataError(
            f"{name} holds {values[odd[0]]!r} in row {odd[0]}, wanted 0 or 1. "
            "Of scikit-learn's labels give `predict(X) == -1`."
        )
    return flags


def as_scores(given: ArrayLike) -> FloatArray:
    """Return finite scores (n,) as float64.

    Raises
    ------
    ShapeError, DataError : not one dimension; scores that are not finite
    """
    scores = np.asarray(given, dtype=np.float64)
    if scores.ndim != 1:
        raise ShapeError(f"scores have shape {scores.shape}, wanted (n,)")
    bad = np.count_nonzero(~np.isfinite(scores))
    if bad:
        raise DataError(f"{bad} scores are not finite; give unknown rows the least score")
    return scores


def same_rows(labels: NDArray, other: NDArray, name: str) -> None:
    """Raise ShapeError where labels and something else are not of the same rows."""
    if labels.shape != other.shape:
        raise ShapeError(f"labels {labels.shape} and {name} {other.shape}, wanted the same")


def intervals_of(flags: ArrayLike) -> IntArray:
    """Return the (k, 2) half-open row intervals where 0/1 `flags` (n,) are set."""
    change = np.diff(np.r_[False, as_flags(flags, "flags"), False].astype(np.int8))
    return np.column_stack([np.flatnonzero(change == 1), np.flatnonzero(change == -1)])


def as_moments(given: ArrayLike, name: str) -> FloatArray:
    """Return row numbers as float64, or times in seconds since 1970.

    Raises
    ------
    DataError : neither numbers nor datetime64, or not all of them known
    """
    array = np.asarray(given)
    if array.dtype.kind == "M":
        missing = np.isnat(array)
        moments = array.astype("datetime64[ns]").astype(np.int64) / 1e9
    elif array.dtype.kind in "iuf":
        moments = array.astype(np.float64)
        missing = ~np.isfinite(moments)
    else:
        raise DataError(f"{name} holds {array.dtype}, wanted row numbers or datetime64")
    if missing.any():
        raise DataError(f"{name} holds a moment that is not known, wanted all of them")
    return moments


def as_intervals(given: ArrayLike, name: str) -> FloatArray:
    """Return half-open intervals (k, 2) as `as_moments` does.

    Raises
    ------
    ShapeError, DataError : not (k, 2); see `as_moments`; an end that is not after its start
    """
    if np.size(given) == 0:
        return np.empty((0, 2))
    array = as_moments(given, name)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ShapeError(f"{name} has shape {array.shape}, wanted (k, 2): [start, end) in each row")
    wrong = np.flatnonzero(array[:, 1] <= array[:, 0])
    if len(wrong):
        start, end = array[wrong[0]]
        raise DataError(f"{name} holds [{start:g}, {end:g}), wanted a start and a later end")
    return array
