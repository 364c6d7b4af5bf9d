"""One row of readings in, one score out, in constant time: the only definition of a score.

A batch is a fold of `advance`, the online stepper calls it once a row, and calibration runs it on
rows that its coefficients never saw; so the three agree to the last bit. Hence no fast-math flag
here: a loop and a single step would round differently.

All compiled code stands in this one file because numba's cache looks for changes only in the file
of the function that is called. In order: the memory; the watch over the residuals; `advance`; folds.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.cell import HEAD, SEEN, STOOD, Cell, past_size
from sensorssm.scoring.precedents import FIRST, ROWS, compare, watch_level

FloatArray = NDArray[np.float64]

CLIP = 50.0  # a scaled reading beyond this says no more, and must not fill the memory
BLEND = 0.25  # how much of the blame is the norm's own decomposition; the rest is r^2 / variance
PLAIN = 3.0  # evidence of the energy from which on it says by itself which tag it was
TINY = 1e-12


@numba.njit(cache=True)
def parts_of(
    cell: Cell, state: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return views of a state row: memory (F,), blame (M,), energy (E,) and shift (3, M)."""
    tags = cell.center.size
    at = HEAD + tags * (cell.lags + cell.decay.size) + 1
    memory = state[HEAD:at]
    blame = state[at : at + tags]
    at += tags
    energy = state[at : at + cell.energy_gain.size]
    at += energy.size
    return memory, blame, energy, state[at : at + 3 * tags].reshape((3, tags))


@numba.njit(cache=True)
def remember(
    memory: FloatArray, z: FloatArray, lags: int, decay: FloatArray, seen: float, elapsed: float
) -> None:
    """Take the scaled row `z` into `memory`, in place.

    The averages start as plain means, so a new asset does not wait for the slowest of them. After
    a gap longer than the lags, the rows before it are forgotten and the averages have decayed.
    """
    tags = z.size
    if seen == 0.0 or elapsed > lags + 0.5:
        for lag in range(lags):
            memory[lag * tags : (lag + 1) * tags] = z
    else:
        for i in range(lags * tags - 1, tags - 1, -1):
            memory[i] = memory[i - tags]
        memory[:tags] = z
    at = lags * tags
    for k in range(decay.size):
        kept = decay[k] if elapsed == 1.0 else decay[k] ** elapsed
        gain = max(1.0 - kept, 1.0 / (seen + 1.0))
        for i in range(tags):
            memory[at + i] += gain * (z[i] - memory[at + i])
        at += tags
    memory[at] = 1.0


@numba.njit(cache=True)
def read_out(rows: FloatArray, first: int, matrix: FloatArray, out: FloatArray) -> None:
    """Add ``rows @ matrix[first : first + rows.size]`` to `out`; column order, so SIMD is exact."""
    for f in range(rows.size):
        value = rows[f]
        for i in range(out.size):
            out[i] += value * matrix[first + f, i]


@numba.njit(cache=True)
def foresee(cell: Cell, memory: FloatArray, x: FloatArray, z: FloatArray, out: FloatArray) -> None:
    """Scale the row `x` into `z`, NaN = missing, and write the forecast of it into `out`."""
    for i in range(x.size):
        z[i] = np.nan
        if np.isfinite(x[i]):
            z[i] = min(max((x[i] - cell.center[i]) / cell.scale[i], -CLIP), CLIP)
    out[:] = 0.0
    read_out(memory, 0, cell.forecast, out)
    for i in range(out.size):
        out[i] = min(max(out[i], -CLIP), CLIP)


@numba.njit(cache=True)
def fill_missing(cell: Cell, residual: FloatArray, z: FloatArray) -> None:
    """Put what the other tags' residuals say into the missing ones (two Gauss-Seidel sweeps).

    The filled residual minimises ``r @ P @ r``, whose minimum is the norm under the covariance
    of the tags that are present.
    """
    for _ in range(2):
        for m in range(residual.size):
            if np.isnan(z[m]) and cell.precision[m, m] > 0.0:
                total = 0.0
                for j in range(residual.size):
                    total += cell.precision[m, j] * residual[j]
                own = cell.precision[m, m]
                residual[m] -= total / own


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


@numba.njit(cache=True, nogil=True)
def memories(
    cell: Cell, state: FloatArray, rows: FloatArray, elapsed: FloatArray, out: FloatArray
) -> None:
    """Write the memory after each row, (n, F), with the last value held where one is missing.

    This is the memory that the coefficients are fitted on, before there is a forecast to fill with.
    """
    memory = parts_of(cell, state)[0]
    z = np.empty(rows.shape[1])
    for t in range(rows.shape[0]):
        for i in range(z.size):
            if np.isfinite(rows[t, i]):
                z[i] = min(max((rows[t, i] - cell.center[i]) / cell.scale[i], -CLIP), CLIP)
            else:
                z[i] = memory[i]
        remember(memory, z, cell.lags, cell.decay, state[SEEN], elapsed[t])
        state[SEEN] += 1.0
        out[t] = memory


@numba.njit(cache=True, nogil=True)
def residuals(
    cell: Cell, state: FloatArray, rows: FloatArray, elapsed: FloatArray, out: FloatArray
) -> None:
    """Write the residual of the forecast of each row, (n, M), NaN = missing."""
    memory = parts_of(cell, state)[0]
    tags = rows.shape[1]
    z, guess = np.empty(tags), np.empty(tags)
    for t in range(rows.shape[0]):
        seen = state[SEEN]
        known = seen > 0.0 and elapsed[t] <= cell.lags + 0.5
        foresee(cell, memory, rows[t], z, guess)
        for i in range(tags):
            out[t, i] = z[i] - guess[i] if known else np.nan
            z[i] = guess[i] if np.isnan(z[i]) else z[i]
        remember(memory, z, cell.lags, cell.decay, seen, elapsed[t])
        state[SEEN] = seen + 1.0


@numba.njit(cache=True, nogil=True)
def shifts(cell: Cell, residual: FloatArray, means: FloatArray, norms: FloatArray) -> None:
    """Write the long mean after each residual, (n, M), and (n, 2) what `follow_shift` returns."""
    shift, stood = np.zeros((3, residual.shape[1])), np.zeros(1)
    for t in range(residual.shape[0]):
        norms[t, 0], norms[t, 1] = follow_shift(cell, residual[t], shift, stood)
        means[t] = nearer(cell, shift)


@numba.njit(cache=True)
def evidences(cell: Cell, stats: FloatArray) -> FloatArray:
    """Return the summed evidence of many rows of statistics, before its own calibration."""
    out = np.empty(stats.shape[0])
    for t in range(stats.shape[0]):
        out[t] = np.nan if np.isnan(stats[t, 0]) else weigh(cell, stats[t])[0]
    return out
