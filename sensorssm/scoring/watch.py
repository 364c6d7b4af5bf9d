"""What a forecast missed, watched in two ways: its energy, and the shift of its signed mean.

Compiled callees of `sensorssm.scoring.advance`, which says what to do after an edit here.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.cell import Cell
from sensorssm.scoring.memory import read_out

FloatArray = NDArray[np.float64]

BLEND = 0.25  # how much of the blame is the norm's own decomposition; the rest is r^2 / variance
TINY = 1e-12


@numba.njit(cache=True)
def norm_of(row: FloatArray, matrix: FloatArray, pull: FloatArray) -> float:
    """Return ``row @ matrix @ row``; `pull` gets ``matrix @ row``."""
    pull[:] = 0.0
    read_out(row, 0, matrix, pull)
    total = 0.0
    for i in range(row.size):
        total += row[i] * pull[i]
    return total


@numba.njit(cache=True)
def watch_surprise(
    cell: Cell,
    surprise: FloatArray,
    residual: FloatArray,
    pull: FloatArray,
    norm: float,
    dof: float,
    energy: FloatArray,
    blame: FloatArray,
    stats: FloatArray,
) -> None:
    """Take in what the forecast missed: its squared norm at once, and averaged.

    `surprise` (M,) is of all tags, NaN where it is not known; `residual` (M,) of those that score,
    missing ones filled, with its `norm` and `pull` (M,) as `norm_of` gives them.
    """
    known = not np.isnan(surprise).all()
    for i in range(residual.size):
        if not np.isnan(surprise[i]) and cell.fixed[i] == 0.0:
            # A tag that only informs does not score, but may well be what went wrong.
            alone = surprise[i] ** 2 / cell.spread[i]
            part = (1.0 - BLEND) * alone + BLEND * max(residual[i] * pull[i], 0.0)
            blame[i] += cell.energy_gain[-1] * (part - blame[i])
    now = norm / dof if known else 1.0
    stats[0] = np.log(max(now, TINY))
    for k in range(energy.size):
        energy[k] += cell.energy_gain[k] * (now - energy[k])
        stats[1 + k] = np.log(max(energy[k], TINY))


@numba.njit(cache=True)
def follow_shift(
    cell: Cell, residual: FloatArray, shift: FloatArray, stood: FloatArray
) -> tuple[float, float]:
    """Average the signed residual: a fault pushes it the same way each time, noise does not.

    `shift` (3, M) is advanced in place. Its rows: a reference that follows lawful drift and stands
    still while the mean is away; the mean of the last few rows; the mean of many rows, which gives
    way to the former where the two are too far apart for chance. So the long mean finds small
    shifts, and is neither slow to see large ones nor slow to forget them: an adaptive
    exponentially weighted moving average (Capizzi and Masarotto 2003) in many dimensions.

    `stood` (1,) counts the rows that the mean is away for without giving way. A shift that stood
    for longer than `patience` is how the plant runs now: the reference moves to it, at its usual
    rate. What the training showed, no shift at all, stays normal beside it.

    Returns
    -------
    apart, away : squared norms of the means' difference, before it gives way, and of the long mean
        from the reference or from none, whichever is nearer
    """
    reference, recent, mean = shift[0], shift[1], shift[2]
    gap, pull = np.empty(residual.size), np.empty(residual.size)
    for i in range(residual.size):
        off = residual[i] - reference[i]
        recent[i] += cell.recent_gain * (off - recent[i])
        mean[i] += cell.shift_gain * (off - mean[i])
        gap[i] = recent[i] - mean[i]
    apart = norm_of(gap, cell.precision, pull)
    away = min(norm_of(mean, cell.precision, pull), norm_of(mean + reference, cell.precision, pull))
    stood[0] = 0.0 if away <= cell.quiet else stood[0] + 1.0
    if apart > cell.shift_limit:
        mean += (1.0 - np.sqrt(cell.shift_limit / apart)) * gap
        stood[0] = 0.0
    if away <= cell.quiet or stood[0] > cell.patience:
        reference += cell.reference_gain * (residual - reference)
    return apart, away


@numba.njit(cache=True)
def nearer(cell: Cell, shift: FloatArray) -> FloatArray:
    """Return the long mean (M,) from the reference, or from none where that is nearer."""
    plain, pull = shift[2] + shift[0], np.empty(shift.shape[1])
    if norm_of(plain, cell.precision, pull) < norm_of(shift[2], cell.precision, pull):
        return plain
    return shift[2]


@numba.njit(cache=True)
def watch_shift(
    cell: Cell, residual: FloatArray, shift: FloatArray, stood: FloatArray, parts: FloatArray
) -> float:
    """Return the statistic of the long mean; `parts` (M,) gets how well each tag explains it."""
    follow_shift(cell, residual, shift, stood)
    lasting = nearer(cell, shift)
    norm = norm_of(lasting, cell.shift_precision, parts)
    parts[:] = 0.0
    read_out(lasting, 0, cell.signature, parts)
    for i in range(parts.size):
        parts[i] *= parts[i]
    return np.log(max(norm, TINY))


@numba.njit(cache=True, nogil=True)
def shifts(cell: Cell, residual: FloatArray, means: FloatArray, norms: FloatArray) -> None:
    """Write the long mean after each residual, (n, M), and (n, 2) what `follow_shift` returns."""
    shift, stood = np.zeros((3, residual.shape[1])), np.zeros(1)
    for t in range(residual.shape[0]):
        norms[t, 0], norms[t, 1] = follow_shift(cell, residual[t], shift, stood)
        means[t] = nearer(cell, shift)
