"""The compiled loop of the linear memory: the one definition behind batch, chunk and step.

Each tag has a clock of its own: its memory stands where the tag was last read, and moves on by all
the steps since when the next reading comes.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Columns of `MemoryState.slow`; from SPREADS on, each spread's sum and weight.
LEVEL_SUM, LEVEL_WEIGHT, LAST, STRANGE_RUN, WAITED, SLOT, SPREADS = range(7)
# Weights below this are as good as none; keeping them here stops a long gap from ending in 0 / 0.
LEAST_WEIGHT = 1e-30
# Gaps of so many lengths are in use at a time; powers of the poles are kept for each.
GAPS = 8


@njit(cache=True, nogil=True)
def fold(
    values,
    elapsed,
    rows,
    tau,
    frequency,
    oscillating,
    level_tau,
    spread_tau,
    lags,
    gate_weights,
    gate_width,
    gate_patience,
    poles,
    slow,
    ring,
    clock,
    z,
    level,
    spread,
    recent,
    slots,
    waited,
    trust,
):
    """Read each row of `values` into the state and write the features after each of `rows`.

    Shapes as in `MemoryState` and `Features`; the state and the features are overwritten. `trust`
    is (n, M), for the weight that each reading got, or empty; with a negative `gate_width` it says
    the weight that each reading is to get.
    """
    turns = np.empty((GAPS, 2, len(tau)))
    keep = np.empty((GAPS, 1 + len(spread_tau)))
    gaps = np.zeros(GAPS)
    gain = -np.expm1(-1.0 / tau)
    k = 0
    for t in range(len(values)):
        clock[0] += elapsed[t]
        slot = max(math.floor(clock[0] + 0.5), clock[1], 0.0)
        clock[1] = slot
        for c in range(values.shape[1]):
            own = slow[c]
            own[WAITED] += elapsed[t]
            x = values[t, c]
            weight = 1.0 if math.isfinite(x) else 0.0
            if gate_width < 0.0:
                weight *= trust[t, c]
            if weight > 0.0:
                guess = own[LAST]
                if gate_width > 0.0:
                    guess = _one_step(
                        gate_weights[c], poles[:, c], own, ring[1, c], oscillating, lags
                    )
                change = abs(x - guess)
                if gate_width > 0.0:
                    weight = _trust(change, own, gate_width, gate_patience)
                g = int(own[WAITED]) % GAPS
                if gaps[g] != own[WAITED]:
                    gaps[g] = own[WAITED]
                    _turn(turns[g], keep[g], tau, frequency, level_tau, spread_tau, gaps[g])
                _hold(ring[1, c], own, slot)
                _read(poles[:, c], turns[g], gain, weight * x, weight)
                _level(own, keep[g, 0], level_tau, weight * x, weight)
                far = abs(x - own[LEVEL_SUM] / own[LEVEL_WEIGHT])
                _spread(own, keep[g, 1:], spread_tau, change, far)
                own[LAST] += weight * (x - own[LAST])
                own[WAITED] = 0.0
                own[SLOT] = slot
                ring[:, c, int(slot) % ring.shape[2]] = own[LAST]
            if len(trust) > 0:
                trust[t, c] = weight
        if k < len(rows) and rows[k] == t:
            look(
                k,
                oscillating,
                lags,
                poles,
                slow,
                ring,
                clock,
                z,
                level,
                spread,
                recent,
                slots,
                waited,
            )
            k += 1


@njit(cache=True, nogil=True)
def look(k, oscillating, lags, poles, slow, ring, clock, z, level, spread, recent, slots, waited):
    """Write the features of the state as it is into row `k`."""
    slots[k] = clock[1]
    for c in range(slow.shape[0]):
        own = slow[c]
        waited[k, c] = math.floor(own[WAITED] + 0.5)
        level[k, c] = own[LEVEL_SUM] / own[LEVEL_WEIGHT]
        for i in range(spread.shape[2]):
            weight = own[SPREADS + 2 * i + 1]
            spread[k, c, i] = own[SPREADS + 2 * i] / weight if weight > 0.0 else 0.0
        _features(z[c, k], poles[:, c], own, ring[1, c], oscillating, lags)
        _unroll(recent[k, c], ring[0, c], int(own[SLOT]))


@njit(cache=True, nogil=True)
def _turn(turns, keep, tau, frequency, level_tau, spread_tau, steps):
    """Write every pole to the power `steps`, and what is kept of the level and the spreads."""
    for j in range(len(tau)):
        size = math.exp(-steps / tau[j])
        angle = 2.0 * math.pi * frequency[j] * steps
        turns[0, j] = size * math.cos(angle)
        turns[1, j] = size * math.sin(angle)
    keep[0] = math.exp(-steps / level_tau)
    for i in range(len(spread_tau)):
        keep[1 + i] = math.exp(-steps / spread_tau[i])


@njit(cache=True, nogil=True)
def _hold(ring, own, slot):
    """Hold the last reading in every slot that passed without one, up to `slot`."""
    first = max(own[SLOT] + 1.0, slot - len(ring) + 1.0)
    for passed in range(int(first), int(slot)):
        ring[passed % len(ring)] = own[LAST]


@njit(cache=True, nogil=True)
def _read(poles, turns, gain, drive, weight):
    """One step of the recurrence, for the readings and for their weights."""
    x_re, x_im, w_re, w_im = poles[0], poles[1], poles[2], poles[3]
    for j in range(poles.shape[1]):
        a, b = turns[0, j], turns[1, j]
        re, im = x_re[j], x_im[j]
        x_re[j] = a * re - b * im + gain[j] * drive
        x_im[j] = a * im + b * re
        re, im = w_re[j], w_im[j]
        w_re[j] = a * re - b * im + gain[j] * weight
        w_im[j] = a * im + b * re


@njit(cache=True, nogil=True)
def _level(own, keep, tau, drive, weight):
    kept = keep * own[LEVEL_WEIGHT]
    if kept < LEAST_WEIGHT:
        own[LEVEL_SUM] *= LEAST_WEIGHT / own[LEVEL_WEIGHT]
        own[LEVEL_WEIGHT] = LEAST_WEIGHT
    else:
        own[LEVEL_SUM] *= keep
        own[LEVEL_WEIGHT] = kept
    own[LEVEL_SUM] += drive / tau
    own[LEVEL_WEIGHT] += weight / tau


@njit(cache=True, nogil=True)
def _spread(own, keep, tau, change, far):
    """Follow the size of one-step changes, then of distances from the level at several speeds."""
    for i in range(len(tau)):
        size = change if i == 0 else far
        at = SPREADS + 2 * i
        total, weight = own[at], own[at + 1]
        # A single wild reading may not move a spread by more than three of itself.
        if weight > 5.0 / tau[i]:
            size = min(size, 3.0 * total / weight + 1e-300)
        own[at] = keep[i] * total + size / tau[i]
        own[at + 1] = keep[i] * weight + 1.0 / tau[i]


@njit(cache=True, nogil=True)
def _trust(change, own, width, patience):
    """Return the weight in (0, 1] of a reading that is `change` away from its forecast."""
    if own[SPREADS] <= 0.0:
        return 1.0
    far = change / (width * own[SPREADS] / own[SPREADS + 1])
    if far <= 1.0:
        own[STRANGE_RUN] = 0.0
        return 1.0
    own[STRANGE_RUN] += 1.0
    return 1.0 if own[STRANGE_RUN] > patience else 1.0 / (far * far)


@njit(cache=True, nogil=True)
def _features(out, poles, own, ring, oscillating, lags):
    count = poles.shape[1]
    level = own[LEVEL_SUM] / own[LEVEL_WEIGHT]
    for j in range(count):
        out[j] = poles[0, j] - level * poles[2, j]
    for j in range(oscillating):
        out[count + j] = poles[1, j] - level * poles[3, j]
    count += oscillating
    out[count] = own[LAST] - level
    for j in range(1, lags):
        out[count + j] = ring[(int(own[SLOT]) - j) % len(ring)] - level


@njit(cache=True, nogil=True)
def _one_step(weights, poles, own, ring, oscillating, lags):
    """Return the forecast of the next reading, from the state before it."""
    out = np.empty(len(weights))
    _features(out, poles, own, ring, oscillating, lags)
    guess = own[LEVEL_SUM] / own[LEVEL_WEIGHT]
    for j in range(len(weights)):
        guess += weights[j] * out[j]
    return guess


@njit(cache=True, nogil=True)
def _unroll(out, ring, slot):
    slots = len(ring)
    for j in range(slots):
        out[j] = ring[(slot + 1 + j) % slots]
