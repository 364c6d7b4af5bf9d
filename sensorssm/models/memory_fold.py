"""The compiled loop of the linear memory: the one definition behind batch, chunk and step."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Weights below this are as good as none; keeping them here stops a long gap from ending in 0 / 0.
LEAST_WEIGHT = 1e-30


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
    trust,
):
    """Read each row of `values` into the state and write the features after each of `rows`.

    Shapes as in `MemoryState` and `Features`; the state and the features are overwritten. `trust`
    is (n, M), for the weight that each reading got, or empty; with a negative `gate_width` it says
    the weight that each reading is to get.
    """
    turns = np.empty((2, len(tau)))
    gain = -np.expm1(-1.0 / tau)
    keep_level = 1.0
    keep_spread = np.ones(len(spread_tau))
    step = 0.0
    k = 0
    for t in range(len(values)):
        if elapsed[t] != step:
            step = elapsed[t]
            _turn(turns, tau, frequency, step)
            keep_level = math.exp(-step / level_tau)
            keep_spread = np.exp(-step / spread_tau)
        slot = _tick(clock, ring, slow, step)
        for c in range(values.shape[1]):
            x = values[t, c]
            weight = 1.0 if math.isfinite(x) else 0.0
            if gate_width < 0.0:
                weight *= trust[t, c]
            change = 0.0
            if weight > 0.0:
                guess = slow[c, 2]
                if gate_width > 0.0:
                    guess = _one_step(
                        gate_weights[c],
                        poles[:, c],
                        slow[c],
                        ring[:, c],
                        slot - 1,
                        oscillating,
                        lags,
                    )
                change = abs(x - guess)
                if gate_width > 0.0:
                    weight = _trust(change, slow[c], gate_width, gate_patience)
            else:
                x = 0.0
            if len(trust) > 0:
                trust[t, c] = weight
            _read(poles[:, c], turns, gain, weight * x, weight)
            _level(slow[c], keep_level, level_tau, weight * x, weight)
            if weight > 0.0:
                far = abs(values[t, c] - slow[c, 0] / slow[c, 1])
                _spread(slow[c], keep_spread, spread_tau, change, far)
                slow[c, 2] += weight * (values[t, c] - slow[c, 2])
                place = slot % ring.shape[2]
                ring[:, c, place] = slow[c, 2]
        if k < len(rows) and rows[k] == t:
            look(k, oscillating, lags, poles, slow, ring, clock, z, level, spread, recent, slots)
            k += 1


@njit(cache=True, nogil=True)
def look(k, oscillating, lags, poles, slow, ring, clock, z, level, spread, recent, slots):
    """Write the features of the state as it is into row `k`."""
    slot = max(int(clock[1]), 0)
    slots[k] = clock[1]
    for c in range(slow.shape[0]):
        level[k, c] = slow[c, 0] / slow[c, 1]
        for i in range(spread.shape[2]):
            weight = slow[c, 5 + 2 * i]
            spread[k, c, i] = slow[c, 4 + 2 * i] / weight if weight > 0.0 else 0.0
        _features(
            z[c, k], poles[:, c], level[k, c], slow[c, 2], ring[:, c], slot, oscillating, lags
        )
        _unroll(recent[k, c], ring[0, c], slot)


@njit(cache=True, nogil=True)
def _turn(turns, tau, frequency, step):
    """Write every pole to the power `step`."""
    for j in range(len(tau)):
        size = math.exp(-step / tau[j])
        angle = 2.0 * math.pi * frequency[j] * step
        turns[0, j] = size * math.cos(angle)
        turns[1, j] = size * math.sin(angle)


@njit(cache=True, nogil=True)
def _tick(clock, ring, slow, step):
    """Move the clock and hold the last reading in every slot that is passed; return the new slot."""
    before = int(clock[1])
    clock[0] += step
    slot = max(math.floor(clock[0] + 0.5), before, 0)
    clock[1] = slot
    slots = ring.shape[2]
    for passed in range(max(before + 1, slot - slots + 1), slot + 1):
        ring[1, :, passed % slots] = slow[:, 2]
    return slot


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
def _level(slow, keep, tau, drive, weight):
    kept = keep * slow[1]
    if kept < LEAST_WEIGHT:
        slow[0] *= LEAST_WEIGHT / slow[1]
        slow[1] = LEAST_WEIGHT
    else:
        slow[0] *= keep
        slow[1] = kept
    slow[0] += drive / tau
    slow[1] += weight / tau


@njit(cache=True, nogil=True)
def _spread(slow, keep, tau, change, far):
    """Follow the size of one-step changes, then of distances from the level at several speeds."""
    for i in range(len(tau)):
        size = change if i == 0 else far
        total, weight = slow[4 + 2 * i], slow[5 + 2 * i]
        # A single wild reading may not move a spread by more than three of itself.
        if weight > 5.0 / tau[i]:
            size = min(size, 3.0 * total / weight + 1e-300)
        slow[4 + 2 * i] = keep[i] * total + size / tau[i]
        slow[5 + 2 * i] = keep[i] * weight + 1.0 / tau[i]


@njit(cache=True, nogil=True)
def _trust(change, slow, width, patience):
    """Return the weight in (0, 1] of a reading that is `change` away from its forecast."""
    if slow[4] <= 0.0:
        return 1.0
    far = change / (width * slow[4] / slow[5])
    if far <= 1.0:
        slow[3] = 0.0
        return 1.0
    slow[3] += 1.0
    return 1.0 if slow[3] > patience else 1.0 / (far * far)


@njit(cache=True, nogil=True)
def _features(out, poles, level, last, ring, slot, oscillating, lags):
    count = poles.shape[1]
    for j in range(count):
        out[j] = poles[0, j] - level * poles[2, j]
    for j in range(oscillating):
        out[count + j] = poles[1, j] - level * poles[3, j]
    count += oscillating
    out[count] = last - level
    slots = ring.shape[1]
    for j in range(1, lags):
        place = (slot - j) % slots
        out[count + j] = ring[1, place] - level


@njit(cache=True, nogil=True)
def _one_step(weights, poles, slow, ring, slot, oscillating, lags):
    """Return the forecast of the next reading, from the state before it."""
    level = slow[0] / slow[1]
    out = np.empty(len(weights))
    _features(out, poles, level, slow[2], ring, slot, oscillating, lags)
    guess = level
    for j in range(len(weights)):
        guess += weights[j] * out[j]
    return guess


@njit(cache=True, nogil=True)
def _unroll(out, ring, slot):
    slots = len(ring)
    for j in range(slots):
        out[j] = ring[(slot + 1 + j) % slots]
