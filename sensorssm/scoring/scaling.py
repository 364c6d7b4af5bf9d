"""Where each tag usually is and how far it moves, from training rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.calibrate import count_episodes

FloatArray = NDArray[np.float64]

NORMAL_IQR = 1.349  # interquartile range of a standard normal


class Scaling(NamedTuple):
    """Location and spread of M tags; `fixed` never moved; `informs` do not score, see below."""

    center: FloatArray
    scale: FloatArray
    fixed: NDArray[np.bool_]
    informs: NDArray[np.bool_]


def fit_scaling(values: FloatArray) -> Scaling:
    """Return the median and the spread of each column of `values` (n, M), NaN = missing.

    The spread is the standard deviation, or the interquartile range in units of it where that is
    larger: a valve that is closed most of the time has no interquartile range, and a counter that
    bursts is to be judged by its bursts. A tag without readings, or that never moved, counts as fixed.
    """
    center, scale = np.zeros(values.shape[1]), np.ones(values.shape[1])
    fixed = np.ones(values.shape[1], dtype=bool)
    informs = np.zeros(values.shape[1], dtype=bool)
    for i, column in enumerate(values.T):
        seen = column[np.isfinite(column)]
        if len(seen) == 0:
            continue
        low, center[i], high = np.quantile(seen, [0.25, 0.5, 0.75])
        spread = max((high - low) / NORMAL_IQR, float(seen.std()))
        informs[i] = is_status(seen) or is_setpoint(seen) or is_rare(seen)
        if spread > 1e-9 * (abs(center[i]) + 1.0):
            scale[i], fixed[i] = spread, False
    return Scaling(center, scale, fixed, informs & ~fixed)


def is_status(seen: FloatArray) -> bool:
    """Say whether readings are of a switch or a mode: few values, each seen often."""
    return len(np.unique(seen[:: max(1, len(seen) // 5000)])) <= 3


def is_setpoint(seen: FloatArray) -> bool:
    """Say whether a tag is held for long and then jumps: an operator or a schedule moves it."""
    moves = np.abs(np.diff(seen))
    moves = moves[moves > 0.0]
    held = 1.0 - len(moves) / max(len(seen) - 1, 1)
    return len(moves) > 0 and held > 0.9 and float(np.median(moves)) > 0.25 * float(seen.std())


def is_rare(seen: FloatArray, episodes: int = 10) -> bool:
    """Say whether a tag rests at one value and left it too seldom to learn what is normal."""
    away = np.abs(seen - np.median(seen)) > 1e-9 * (1.0 + np.abs(np.median(seen)))
    return bool(away.mean() < 0.1) and count_episodes(away) < episodes
