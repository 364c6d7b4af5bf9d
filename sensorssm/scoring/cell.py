"""The compiled cell: one row of readings in, one score out, in constant time.

`advance` is the only definition of the detector's arithmetic. A batch is a fold of it, the online
stepper calls it once a row, and calibration runs it on rows that its coefficients never saw; so
the three agree bit by bit (and no fast-math flag may be set here).

The memory is a fixed diagonal SSM over all tags: the last `lags` rows and exponential averages at
several time scales. Two readouts of it are compared with what came:

* the *forecast* of a row from the rows before it: its residual, under a full covariance, is large
  when something happens (a spike, a step, an oscillation, changed dynamics);
* the *peers' estimate* of each tag from all other tags and their averages: a forecast follows a
  transmitter that drifts or sticks, its peers do not.

Both residuals are watched at several time scales. Each watched statistic goes through a table
learnt on held-back rows to -log10 of its p-value; the evidence is summed and calibrated again.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BLEND = 0.25  # how much of the blame is the norm's own decomposition; the rest is r^2 / variance
QUIET = 2.0  # a score below this lets the slow reference follow: p > 0.01
CLIP = 50.0  # a scaled reading beyond this says no more, and must not fill the memory
SEEN, SCORE, HEAD = 0, 1, 2  # state: rows since the start, the last score; then the memory


class Cell(NamedTuple):
    """Everything `advance` needs, fitted. M tags, F = M (lags + K) + 1 features, C statistics.

    Attributes
    ----------
    center, scale : (M,) robust location and spread of each tag, in the tag's unit
    scored : (M,) 1 for a tag that scores, 0 for one that only informs
    fixed : (M,) 1 for a tag that never moved in training
    novelty : the least score of a row in which a fixed tag moves
    lags : rows remembered as they were
    decay : (K,) forgetting of the exponential averages, a step
    forecast : (F, M) the next row, scaled, from the memory; the last feature is the constant
    precision : (M, M) inverse covariance of the forecast's residual; zero where not scored
    spread : (M,) variance of the forecast's residual
    peers : (M (1 + K) + 1, M) each tag, scaled, from the others' readings and averages
    peer_mean, peer_var : (S, M) of the averaged peers' residual
    energy_gain, shift_gain, peer_gain : (E,), (H,), (S,) averaging of the squared residual, of the
        residual, and of the peers' residual
    reference_gain : following of the peers' residual by what it is compared with, while quiet
    votes : (C,) each statistic's weight in the mean of the evidence, summing to 1
    knots, levels, slope : (C + 1, J), (C + 1, J), (C + 1,) statistic -> -log10 p, with a straight
        tail; the last row is the table of the summed evidence
    """

    center: FloatArray
    scale: FloatArray
    scored: FloatArray
    fixed: FloatArray
    novelty: float
    lags: int
    decay: FloatArray
    forecast: FloatArray
    precision: FloatArray
    spread: FloatArray
    peers: FloatArray
    peer_mean: FloatArray
    peer_var: FloatArray
    energy_gain: FloatArray
    shift_gain: FloatArray
    peer_gain: FloatArray
    reference_gain: float
    votes: FloatArray
    knots: FloatArray
    levels: FloatArray
    slope: FloatArray

    def check(self, tags: int) -> None:
        """Raise ValueError where the arrays do not fit together: compiled code trusts them."""
        slow, features = len(self.decay), tags * (self.lags + len(self.decay)) + 1
        count = 2 + len(self.energy_gain) + len(self.shift_gain) + len(self.peer_gain)
        wanted = {
            "center": (tags,), "scale": (tags,), "scored": (tags,), "fixed": (tags,),
            "spread": (tags,), "precision": (tags, tags),
            "forecast": (features, tags),
            "peers": (tags * (1 + slow) + 1, tags), "peer_mean": (len(self.peer_gain), tags),
            "peer_var": (len(self.peer_gain), tags), "slope": (count,),
            "levels": self.knots.shape, "votes": (count - 1,), "knots": (count, *self.knots.shape[1:2]),
        }  # fmt: skip
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float64:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, wanted float64 {shape}")
        if self.lags < 1:
            raise ValueError(f"lags is {self.lags}, wanted 1 or more")


@numba.njit(cache=True)
def state_size(cell: Cell) -> int:
    """Return the number of float64 in one asset's state row."""
    tags = cell.center.size
    memory = tags * (cell.lags + cell.decay.size) + 1
    watched = tags * (2 + cell.shift_gain.size + cell.peer_gain.size) + cell.energy_gain.size
    return HEAD + memory + watched


@numba.njit(cache=True)
def statistics_of(cell: Cell) -> int:
    """Return C, the number of watched statistics."""
    return 1 + cell.energy_gain.size + cell.shift_gain.size + cell.peer_gain.size


@numba.njit(cache=True)
def memory_of(cell: Cell, state: FloatArray) -> FloatArray:
    """Return the memory's part of a state row, a view of (F,)."""
    return state[HEAD : HEAD + cell.center.size * (cell.lags + cell.decay.size) + 1]


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
def _read(rows: FloatArray, first: int, matrix: FloatArray, start: int, out: FloatArray) -> None:
    """Add ``rows @ matrix[first : first + rows.size]`` to `out`; column order, so SIMD is exact."""
    for f in range(rows.size):
        value = rows[f]
        for i in range(out.size):
            out[i] += value * matrix[first + f, start + i]


@numba.njit(cache=True)
def _foresee(cell: Cell, memory: FloatArray, x: FloatArray, z: FloatArray, out: FloatArray) -> None:
    """Scale the row `x` into `z`, NaN = missing, and write the forecast of it into `out`."""
    for i in range(x.size):
        z[i] = np.nan
        if np.isfinite(x[i]):
            z[i] = min(max((x[i] - cell.center[i]) / cell.scale[i], -CLIP), CLIP)
    out[:] = 0.0
    _read(memory, 0, cell.forecast, 0, out)
    for i in range(out.size):
        out[i] = min(max(out[i], -CLIP), CLIP)


@numba.njit(cache=True)
def _fill_missing(cell: Cell, residual: FloatArray, present: FloatArray) -> None:
    """Put what the other tags' residuals say into the missing ones (two Gauss-Seidel sweeps).

    The filled residual minimises ``r @ P @ r``, whose minimum is the norm under the covariance
    of the tags that are present.
    """
    for _ in range(2):
        for m in range(residual.size):
            if present[m] == 0.0 and cell.precision[m, m] > 0.0:
                total = 0.0
                for j in range(residual.size):
                    total += cell.precision[m, j] * residual[j]
                own = cell.precision[m, m]
                residual[m] -= total / own


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
def _log(value: float) -> float:
    return np.log(max(value, 1e-12))


@numba.njit(cache=True)
def _combine(cell: Cell, stats: FloatArray, weights: FloatArray) -> float:
    """Return the mean evidence of the statistics; `weights` gets each one's say, summing to 1.

    The mean of logarithms is the geometric mean of the p-values: a fault shows in several
    statistics at once, while a lawful change of the plant tends to upset one of them.
    """
    count = stats.size
    total, squares = 0.0, 0.0
    for c in range(count):
        strength = evidence(cell.knots[c], cell.levels[c], cell.slope[c], stats[c])
        weights[c] = cell.votes[c] * strength
        total += weights[c]
        squares += weights[c] ** 2
    for c in range(count):
        # Squared, so that the statistic that speaks up is heard over the murmur of the others.
        weights[c] = weights[c] ** 2 / squares if squares > 0.0 else cell.votes[c]
    return total


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
    memory = memory_of(cell, state)
    at = HEAD + memory.size
    blame = state[at : at + tags]
    at += tags
    energy = state[at : at + cell.energy_gain.size]
    at += energy.size
    shift = state[at : at + tags * cell.shift_gain.size]
    at += shift.size
    peer = state[at : at + tags * cell.peer_gain.size]
    at += peer.size
    reference = state[at : at + tags]

    seen = state[SEEN]
    known = seen > 0.0 and elapsed <= cell.lags + 0.5  # a forecast is for the next step only
    if seen == 0.0:
        energy[:] = 1.0

    z = np.empty(tags)
    ahead = np.zeros(tags)
    residual = np.zeros(tags)
    present = np.zeros(tags)
    _foresee(cell, memory, x, z, ahead)
    dof = 0.0
    for i in range(tags):
        expected[i] = cell.center[i] + cell.scale[i] * ahead[i]
        if not np.isnan(z[i]):
            present[i] = 1.0
            dof += cell.scored[i]
            if known:
                residual[i] = (z[i] - ahead[i]) * cell.scored[i]
    if known and dof > 0.0:
        _fill_missing(cell, residual, present)
    for i in range(tags):
        if present[i] == 0.0:
            z[i] = ahead[i] + residual[i]
    remember(memory, z, cell.lags, cell.decay, seen, elapsed)
    state[SEEN] = seen + 1.0
    moved = 0
    for i in range(tags):
        if (
            cell.fixed[i] > 0.0
            and present[i] > 0.0
            and abs(z[i]) > 1e-6 * (abs(cell.center[i]) + 1.0)
        ):
            moved += 1
    if dof == 0.0:
        shares[:] = 1.0 / tags
        stats[:] = np.nan
        if moved > 0:
            _blame_moved(cell, z, moved, shares)
            return cell.novelty
        return np.nan

    # What happened: the residual of the forecast, at once, averaged squared, averaged signed.
    pull = np.zeros(tags)
    _read(residual, 0, cell.precision, 0, pull)
    now = 0.0
    for i in range(tags):
        now += residual[i] * pull[i]
    now = now / dof if known else 1.0
    stats[0] = _log(now)
    at = 1
    for k in range(energy.size):
        energy[k] += cell.energy_gain[k] * (now - energy[k])
        stats[at] = _log(energy[k])
        at += 1
    if known:
        for i in range(tags):
            # A tag that only informs does not score, but may well be what went wrong.
            surprise = (z[i] - ahead[i]) ** 2 / cell.spread[i]
            part = (1.0 - BLEND) * surprise + BLEND * max(residual[i] * pull[i], 0.0)
            if cell.fixed[i] == 0.0:
                blame[i] += cell.energy_gain[0] * (part - blame[i])
    shift_blame = np.zeros((cell.shift_gain.size, tags))
    for k in range(cell.shift_gain.size):
        gain = cell.shift_gain[k]
        mean = shift[k * tags : (k + 1) * tags]
        mean += gain * (residual - mean)
        pull[:] = 0.0
        _read(mean, 0, cell.precision, 0, pull)
        norm = 0.0
        for i in range(tags):
            norm += mean[i] * pull[i]
            if cell.precision[i, i] > 0.0:
                shift_blame[k, i] = pull[i] ** 2 / cell.precision[i, i]
        stats[at] = _log(norm / dof)
        at += 1

    # What the peers do not confirm.
    estimate = np.zeros(tags)
    _read(memory[:tags], 0, cell.peers, 0, estimate)
    _read(memory[cell.lags * tags :], tags, cell.peers, 0, estimate)
    quiet = state[SCORE] < QUIET
    for i in range(tags):
        if present[i] == 1.0:
            estimate[i] = z[i] - estimate[i] - reference[i]
            if quiet:
                reference[i] += cell.reference_gain * estimate[i]
    for k in range(cell.peer_gain.size):
        mean = peer[k * tags : (k + 1) * tags]
        gain = cell.peer_gain[k]
        worst = 0.0
        for i in range(tags):
            if present[i] == 1.0:
                mean[i] += gain * (estimate[i] - mean[i])
            if cell.scored[i] > 0.0:
                single = (mean[i] - cell.peer_mean[k, i]) ** 2 / cell.peer_var[k, i]
                worst = max(worst, single)
        stats[at] = _log(worst)
        at += 1

    weights = np.empty(stats.size)
    summed = _combine(cell, stats, weights)
    last = stats.size
    score = evidence(cell.knots[last], cell.levels[last], cell.slope[last], summed)
    state[SCORE] = score
    _share(cell, weights, blame, shift_blame, peer, shares)
    if moved > 0 and score < cell.novelty:
        _blame_moved(cell, z, moved, shares)
        return cell.novelty
    return score


@numba.njit(cache=True)
def _blame_moved(cell: Cell, z: FloatArray, moved: int, shares: FloatArray) -> None:
    """Share the score equally among the fixed tags that moved."""
    for i in range(z.size):
        off = cell.fixed[i] > 0.0 and abs(z[i]) > 1e-6 * (abs(cell.center[i]) + 1.0)
        shares[i] = 1.0 / moved if off else 0.0


@numba.njit(cache=True)
def _add_share(shares: FloatArray, part: FloatArray, weight: float) -> None:
    total = part.sum()
    if total > 0.0:
        shares += weight / total * part


@numba.njit(cache=True)
def _share(
    cell: Cell,
    weights: FloatArray,
    blame: FloatArray,
    shift_blame: FloatArray,
    peer: FloatArray,
    shares: FloatArray,
) -> None:
    """Blend each statistic's blame of the tags by its say in the score; the shares sum to 1."""
    tags = shares.size
    shares[:] = 0.0
    events = 1 + cell.energy_gain.size
    _add_share(shares, blame, weights[:events].sum())
    for k in range(cell.shift_gain.size):
        _add_share(shares, shift_blame[k], weights[events + k])
    first = events + cell.shift_gain.size
    part = np.empty(tags)
    for k in range(cell.peer_gain.size):
        for i in range(tags):
            off = peer[k * tags + i] - cell.peer_mean[k, i]
            part[i] = cell.scored[i] * off * off / cell.peer_var[k, i]
        _add_share(shares, part, weights[first + k])
    total = shares.sum()
    if total > 0.0:
        shares /= total
    else:
        shares[:] = 1.0 / tags


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
def memories(
    cell: Cell, state: FloatArray, rows: FloatArray, elapsed: FloatArray, out: FloatArray
) -> None:
    """Write the memory after each row, (n, F), with the last value held where one is missing.

    This is the memory that the coefficients are fitted on, before there is a forecast to fill with.
    """
    memory = memory_of(cell, state)
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
    cell: Cell,
    state: FloatArray,
    rows: FloatArray,
    elapsed: FloatArray,
    ahead: FloatArray,
    peer: FloatArray,
) -> None:
    """Write the residuals of the forecast and of the peers' estimate, (n, M), NaN = missing."""
    memory = memory_of(cell, state)
    tags = rows.shape[1]
    z, guess = np.empty(tags), np.empty(tags)
    for t in range(rows.shape[0]):
        seen = state[SEEN]
        known = seen > 0.0 and elapsed[t] <= cell.lags + 0.5
        _foresee(cell, memory, rows[t], z, guess)
        for i in range(tags):
            ahead[t, i] = z[i] - guess[i] if known else np.nan
            peer[t, i] = z[i]
            z[i] = guess[i] if np.isnan(z[i]) else z[i]
        remember(memory, z, cell.lags, cell.decay, seen, elapsed[t])
        state[SEEN] = seen + 1.0
        guess[:] = 0.0
        _read(memory[:tags], 0, cell.peers, 0, guess)
        _read(memory[cell.lags * tags :], tags, cell.peers, 0, guess)
        for i in range(tags):
            peer[t, i] -= guess[i]


@numba.njit(cache=True)
def evidences(cell: Cell, stats: FloatArray) -> FloatArray:
    """Return the summed evidence of many rows of statistics, before its own calibration."""
    out = np.empty(stats.shape[0])
    weights = np.empty(stats.shape[1])
    for t in range(stats.shape[0]):
        out[t] = np.nan if np.isnan(stats[t, 0]) else _combine(cell, stats[t], weights)
    return out
