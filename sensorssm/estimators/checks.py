"""What forecasts are asked for: refused with a reason where it makes no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError, ShapeError

FloatArray = NDArray[np.float64]

#: Beyond it the square of a reading, let alone a sum of squares, is no finite number.
LARGEST = 1e150


def check_steps(**steps: Any) -> None:
    """Raise `ConfigError` for a setting that is not a whole number of at least 1."""
    for name, value in steps.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{name}={value!r}, wanted a whole number of at least 1")


def check_origins(origins: ArrayLike, rows: int) -> NDArray[np.int64]:
    """Return `origins` as row numbers; negative ones count from the end.

    Raises
    ------
    ShapeError : not whole numbers, or rows that are not there.
    """
    found = np.atleast_1d(np.asarray(origins))
    if found.ndim != 1 or found.size == 0 or not np.issubdtype(found.dtype, np.integer):
        raise ShapeError(f"origins has shape {found.shape}, wanted row numbers, one or more")
    found = np.where(found < 0, found + rows, found)
    if found.min() < 0 or found.max() >= rows:
        raise ShapeError(f"origins {found.min()} to {found.max()}, wanted rows 0 to {rows - 1}")
    return found.astype(np.int64)


def refuse_empty_tags(values: FloatArray, tags: tuple[str, ...]) -> None:
    """Raise `DataError` where a tag of `values` (n, M) has no reading at all."""
    empty = np.flatnonzero(~np.isfinite(values).any(axis=0))
    if len(empty):
        names = ", ".join(repr(tags[i]) for i in empty)
        raise DataError(
            f"no reading of {names} in {len(values)} rows, wanted at least one. "
            "Leave such tags out of the frame."
        )


def refuse_huge(values: FloatArray, tags: tuple[str, ...]) -> None:
    """Raise `DataError` where `values` (n, M) cannot be learnt from: their squares overflow."""
    huge = np.flatnonzero((np.abs(values) > LARGEST).any(axis=0))
    if len(huge):
        worst = np.nanmax(np.abs(values[:, huge[0]]))
        raise DataError(
            f"tag {tags[huge[0]]!r} reads {worst:.3g}, wanted at most {LARGEST:.0e} either way. "
            "Put NaN, for a missing reading, in place of such a filler."
        )
