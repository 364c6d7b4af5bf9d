"""The evidence of each watched statistic, -log10 of its p-value by its table, and of all of them.

Compiled callees of `sensorssm.scoring.advance`, which says what to do after an edit here.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.cell import Cell

FloatArray = NDArray[np.float64]

PLAIN = 3.0  # evidence of the energy from which on it says by itself which tag it was


@numba.njit(cache=True)
def evidence(knots: FloatArray, levels: FloatArray, slope: float, value: float) -> float:
    """Return -log10 p of a statistic: a table between its knots, a straight tail beyond."""
    last = knots.size - 1
    if value >= knots[last]:
        return levels[last] + slope * (value - knots[last])
    if value <= knots[0]:
        return levels[0]
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        if knots[middle] <= value:
            low = middle
        else:
            high = middle
    part = (value - knots[low]) / (knots[high] - knots[low])
    return levels[low] + part * (levels[high] - levels[low])


@numba.njit(cache=True)
def evidence_of_each(cell: Cell, stats: FloatArray) -> FloatArray:
    """Return the evidence of each statistic, (C,)."""
    found = np.empty(stats.size)
    for c in range(stats.size):
        found[c] = evidence(cell.knots[c], cell.levels[c], cell.slope[c], stats[c])
    return found


@numba.njit(cache=True)
def weigh(cell: Cell, stats: FloatArray) -> tuple[float, bool]:
    """Return the mean evidence of the statistics, and whether only the shift has something to say.

    The mean of logarithms is the geometric mean of the p-values: a fault shows in several
    statistics at once, while a lawful change of the plant tends to upset one of them.
    """
    total, loudest, last = 0.0, 0.0, stats.size - 1
    for c in range(stats.size):
        found = evidence(cell.knots[c], cell.levels[c], cell.slope[c], stats[c])
        total += found
        if c < last:
            loudest = max(loudest, found)
    return total / stats.size, loudest < PLAIN and found > loudest + 1.0


@numba.njit(cache=True)
def evidences(cell: Cell, stats: FloatArray) -> FloatArray:
    """Return the summed evidence of many rows of statistics, before its own calibration."""
    out = np.empty(stats.shape[0])
    for t in range(stats.shape[0]):
        out[t] = np.nan if np.isnan(stats[t, 0]) else weigh(cell, stats[t])[0]
    return out
