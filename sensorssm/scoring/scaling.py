"""Where each tag usually is and how far it moves, from training rows; robust to a few wild ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

NORMAL_IQR = 1.349  # interquartile range of a standard normal


class Scaling(NamedTuple):
    """Location and spread of M tags; `fixed` marks those that never moved."""

    center: FloatArray
    scale: FloatArray
    fixed: NDArray[np.bool_]
    status: NDArray[np.bool_]


def fit_scaling(values: FloatArray) -> Scaling:
    """Return the median and the spread of each column of `values` (n, M), NaN = missing.

    The spread is the interquartile range in units of a standard deviation, but no less than half
    of the standard deviation: a valve that is closed most of the time has no interquartile range.
    A tag without readings, or that never moved, counts as fixed.
    """
    center, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
    fixed = np.ones(values.shape[1], dtype=bool)
    status = np.zeros(values.shape[1], dtype=bool)
    for i, column in enumerate(values.T):
        seen = column[np.isfinite(column)]
        if len(seen) == 0:
            continue
        low, center[i], high = np.quantile(seen, [0.25, 0.5, 0.75])
        spread = max((high - low) / NORMAL_IQR, 0.5 * seen.std())
        status[i] = is_status(seen)
        if spread > 1e-9 * (abs(center[i]) + 1.0):
            scale[i], fixed[i] = spread, False
    return Scaling(center, scale, fixed, status & ~fixed)


def is_status(seen: FloatArray) -> bool:
    """Say whether readings are of a switch or a mode: few values, each seen often."""
    return len(np.unique(seen[:: max(1, len(seen) // 5000)])) <= 3
