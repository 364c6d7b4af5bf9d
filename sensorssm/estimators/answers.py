"""Forecasts in the caller's own kind: arrays for arrays, frames for frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.frames import is_frame, like
from sensorssm.names import TIME

FloatArray = NDArray[np.float64]


def empty_like(X: Any) -> Any:
    """Return `X` without its rows, to remember what kind of table the caller uses."""
    if not is_frame(X):
        return None
    return X[:0] if not hasattr(X, "slice") else X.slice(0, 0)


def predict_answer(X: Any, values: FloatArray, tags: tuple[str, ...]) -> Any:
    """Return `values` (n, M) as `X` came: an array, or a frame with a column for each tag."""
    if not is_frame(X):
        return values
    return like(X, {tag: values[:, i] for i, tag in enumerate(tags)})


def forecast_answer(
    seen: Any,
    values: FloatArray,
    tags: tuple[str, ...],
    quantiles: ArrayLike | None,
    end_ns: int | None,
    period_s: float | None,
) -> Any:
    """Return a forecast (H, M[, Q]) as an array, or as a frame of the kind of `seen`."""
    if seen is None or not is_frame(seen):
        return values
    columns: dict[str, ArrayLike] = {}
    if end_ns is not None and period_s is not None:
        steps = np.arange(1, len(values) + 1)
        columns[TIME] = (end_ns + np.round(steps * period_s * 1e9)).astype("datetime64[ns]")
    if quantiles is None:
        columns |= {tag: values[:, i] for i, tag in enumerate(tags)}
    else:
        levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
        columns |= {
            f"{tag}_q{level:g}": values[:, i, q]
            for i, tag in enumerate(tags)
            for q, level in enumerate(levels)
        }
    return like(seen, columns)
