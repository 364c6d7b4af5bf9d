"""One row of readings in, one score out, in constant time: the only definition of a score.

A batch is a fold of `advance`, the online stepper calls it once a row, and calibration runs it on
rows that its coefficients never saw; so the three agree to the last bit. Hence no fast-math flag
here: a loop and a single step would round differently.

numba keeps compiled code until the file of the function that is called changes, and does not see
an edit of what it calls in `cell`, `memory`, `watch`, `evidence` and `precedents`: delete
`__pycache__` after one.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.cell import HEAD, SEEN, STOOD, Cell, past_size
from sensorssm.scoring.evidence import evidence, evidence_of_each, weigh
from sensorssm.scoring.memory import fill_missing, foresee, parts_of, remember
from sensorssm.scoring.precedents import FIRST, ROWS, compare, watch_level
from sensorssm.scoring.watch import norm_of, watch_shift, watch_surprise

FloatArray = NDArray[np.float64]


@numba.njit(cache=True)
def advance(
    cell: Cell,
    state: FloatArray,
    x: FloatArray,
    elapsed: float,
    expected: FloatArray,
    shares: FloatArray,
    stats: FloatArray,
) -> float:
    """Take one row of one asset into `state` and return its score; NaN where nothing can be said.

    Parameters
    ----------
    state : (state_size,), zeros for a new asset; advanced in place
    x : (M,) readings in the tags' units, NaN = missing
    elapsed : steps since the asset's row before
    expected : (M,) out, the forecast of this row in the tags' units
    shares : (M,) out, each tag's share of the score, summing to 1 (equal shares where unknown)
    stats : (C,) out, the watched statistics, logarithms
    """
    tags = x.size
    _, blame, energy, shift = parts_of(cell, state)
    past = state[state.size - past_size(cell) :]
    if state[SEEN] == 0.0:
        energy[:] = 1.0
        if past.size > 0:
            past[ROWS] = cell.rows
            past[FIRST:] = cell.precedents.ravel()
    z, surprise, residual = np.empty(tags), np.empty(tags), np.zeros(tags)
    dof = _meet(cell, state, x, elapsed, expected, z, surprise, residual)
    moved = blame_moved(cell, z, shares)
    if dof == 0.0:
        stats[:] = np.nan
        if moved:
            return cell.novelty
        shares[:] = 1.0 / tags
        return np.nan

    parts, pull, last = np.empty(tags), np.empty(tags), stats.size
    off = residual - shift[0]
    near, far = norm_of(off, cell.precision, pull), norm_of(residual, cell.precision, parts)
    if near < far:
        watch_surprise(cell, surprise - shift[0], off, pull, near, dof, energy, blame, stats[:-1])
    else:  # the plant is back where it was in training
        watch_surprise(cell, surprise, residual, parts, far, dof, energy, blame, stats[:-1])
    stats[-1] = watch_shift(cell, residual, shift, state[STOOD:HEAD], parts)
    by_shift = False
    if past.size > 0:
        stats[-1] = watch_level(past, z[0], cell.reference_gain)
        score = compare(cell.weights, past, evidence_of_each(cell, stats))
    else:
        mean, by_shift = weigh(cell, stats)
        score = evidence(cell.knots[last], cell.levels[last], cell.slope[last], mean)
    if moved and score < cell.novelty:
        return cell.novelty
    share_out(parts if by_shift else blame, shares)
    return score


@numba.njit(cache=True)
def _meet(
    cell: Cell,
    state: FloatArray,
    x: FloatArray,
    elapsed: float,
    expected: FloatArray,
    z: FloatArray,
    surprise: FloatArray,
    residual: FloatArray,
) -> float:
    """Compare the row with its forecast and remember it; return how many scored tags came.

    `z` gets the scaled row, NaN = missing; `surprise` what the forecast missed, NaN where there is
    none to compare; `residual` the same of the scored tags, with the missing ones filled.
    """
    memory = parts_of(cell, state)[0]
    seen = state[SEEN]
    known = seen > 0.0 and elapsed <= cell.lags + 0.5  # a forecast is for the next step only
    ahead = np.empty(x.size)
    foresee(cell, memory, x, z, ahead)
    dof = 0.0
    for i in range(x.size):
        expected[i] = cell.center[i] + cell.scale[i] * ahead[i]
        surprise[i] = z[i] - ahead[i] if known else np.nan
        if not np.isnan(z[i]):
            dof += cell.scored[i]
            residual[i] = surprise[i] * cell.scored[i] if known else 0.0
    if known and dof > 0.0:
        fill_missing(cell, residual, z)
    filled = np.empty(x.size)
    for i in range(x.size):
        filled[i] = ahead[i] + residual[i] if np.isnan(z[i]) else z[i]
    remember(memory, filled, cell.lags, cell.decay, seen, elapsed)
    state[SEEN] = seen + 1.0
    return dof


@numba.njit(cache=True)
def share_out(parts: FloatArray, out: FloatArray) -> None:
    """Write the tags' shares of `parts` into `out`; they sum to 1, and are equal where it is 0."""
    total = parts.sum()
    for i in range(out.size):
        out[i] = parts[i] / total if total > 0.0 else 1.0 / out.size


@numba.njit(cache=True)
def blame_moved(cell: Cell, z: FloatArray, shares: FloatArray) -> bool:
    """Say whether a tag that never moved in training does; if so, share the score among those."""
    moved = 0
    for i in range(z.size):
        # NaN compares false: a missing reading has not moved.
        if cell.fixed[i] > 0.0 and abs(z[i]) > 1e-6 * (abs(cell.center[i]) + 1.0):
            moved += 1
    if moved > 0:
        for i in range(z.size):
            off = cell.fixed[i] > 0.0 and abs(z[i]) > 1e-6 * (abs(cell.center[i]) + 1.0)
            shares[i] = 1.0 / moved if off else 0.0
    return moved > 0


@numba.njit(cache=True, nogil=True)
def fold(
    cell: Cell,
    state: FloatArray,
    rows: FloatArray,
    elapsed: FloatArray,
    scores: FloatArray,
    expected: FloatArray,
    shares: FloatArray,
    stats: FloatArray,
) -> None:
    """Advance one asset over many rows, in place.

    `expected`, `shares` and `stats` are (n, .), or (1, .) where only the scores are wanted.
    """
    for t in range(rows.shape[0]):
        e = t if expected.shape[0] > 1 else 0
        s = t if shares.shape[0] > 1 else 0
        c = t if stats.shape[0] > 1 else 0
        scores[t] = advance(cell, state, rows[t], elapsed[t], expected[e], shares[s], stats[c])


@numba.njit(cache=True, nogil=True)
def advance_all(
    cell: Cell,
    states: FloatArray,
    which: NDArray[np.int64],
    rows: FloatArray,
    elapsed: FloatArray,
    scores: FloatArray,
    expected: FloatArray,
    shares: FloatArray,
    stats: FloatArray,
) -> None:
    """Advance many assets by one row each: row `a` moves the state ``states[which[a]]`` in place."""
    for a in range(which.size):
        state = states[which[a]]
        scores[a] = advance(cell, state, rows[a], elapsed[a], expected[a], shares[a], stats)
