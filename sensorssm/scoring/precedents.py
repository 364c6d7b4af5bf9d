"""A tag that stands alone: how unusual a row is among all the rows before it.

Tags that are read together check each other, and their training rows say for good what belongs
together. One tag has its own past alone, which a few days of training rows show little of; so its
scores are conformal p-values, counted among the training rows and every row since. What came often
is no news, however rare the training rows made it look; nor is a new level, once it has stood.

The p-values of its statistics are merged by their weighted harmonic mean, which is about a p-value
itself, however the statistics depend on each other (Wilson 2019, PNAS 116, 1195).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

HELD = 64  # precedents held of each statistic, the most unusual; the rows below are interpolated
REACH = 10  # the largest of them that say how fast the tail falls
CLAIM = 2.0  # nothing is called more than a hundred times rarer than all that was seen
ABSENT = -1.0  # in place of a precedent that is not there: evidence is 0 or more
ROWS, LEVEL, FIRST = 0, 1, 2  # state: rows so far, the slow average, the precedents


@numba.njit(cache=True)
def watch_level(past: FloatArray, reading: float, gain: float) -> float:
    """Return how far a scaled reading is from its slow average, a logarithm; `past` follows it."""
    off = reading - past[LEVEL]
    past[LEVEL] += gain * off
    return np.log(max(abs(off), 1e-6))


@numba.njit(cache=True)
def rarity(held: FloatArray, rows: float, value: float) -> float:
    """Return -log10 of the p-value of `value` among `rows` values before it.

    Parameters
    ----------
    held : (T,) the largest of them, ascending, `ABSENT` where there were fewer

    Equal values count as above. Beyond them all, the excess over the least of the `REACH` largest
    is taken as exponential at an unknown rate, which the others tell: predicted from k of them it
    has a generalised Pareto tail of shape 1 / k, exactly. It is believed as far as `CLAIM`.
    """
    above = held.size - np.searchsorted(held, value)
    if above == held.size:  # the p-value of the least held one, and 1 at an evidence of 0
        share = max(value, 0.0) / held[0] if held[0] > 0.0 else 0.0
        return share * np.log10((rows + 1.0) / (held.size + 1.0))
    claim = 0.0
    if above == 0 and rows >= 2 * REACH:
        least = held[-REACH]
        told = max((held[-REACH + 1 :] - least).sum(), 1e-9)
        beyond = (REACH - 1) * np.log10(1.0 + (value - least) / told) - np.log10(REACH)
        claim = min(max(beyond, 0.0), CLAIM)
    return np.log10((rows + 1.0) / (above + 1.0)) + claim


@numba.njit(cache=True)
def hold(held: FloatArray, value: float) -> None:
    """Put `value` among the largest (T,), in place and in order, if it is one of them."""
    if value <= held[0]:
        return
    place = np.searchsorted(held, value) - 1
    held[:place] = held[1 : place + 1]
    held[place] = value


@numba.njit(cache=True)
def compare(weights: FloatArray, past: FloatArray, found: FloatArray) -> float:
    """Return the score of a row whose statistics have the evidence `found` (C,), and remember it.

    `past` is the asset's state from `ROWS` on, advanced in place; `weights` (C,) sum to 1.
    """
    held = past[FIRST:].reshape((found.size, HELD))
    odds = 0.0
    for c in range(found.size):
        odds += weights[c] * 10.0 ** rarity(held[c], past[ROWS], found[c])
        hold(held[c], found[c])
    past[ROWS] += 1.0
    return max(np.log10(odds), 0.0)  # weights sum to 1 but for rounding


def first_precedents(evidence: FloatArray) -> FloatArray:
    """Return the largest of each column of `evidence` (n, C) as (C, T), ascending; NaN = unknown."""
    padded = np.full((evidence.shape[1], HELD + len(evidence)), ABSENT)
    padded[:, HELD:] = np.where(np.isnan(evidence), ABSENT, evidence).T
    return np.ascontiguousarray(np.sort(padded, axis=1)[:, -HELD:])


def weights_of(averages: int) -> FloatArray:
    """Return the weights (C,): a row's own energy counts four times its averages and the level.

    The level of a random walk leaves all of its past behind more often than chance says. With these
    weights a hundred walks scored above 3 in 1.8 of a thousand rows; at a quarter for the level, 2.2.
    """
    weights = np.array([4.0, *[1.0] * averages, 1.0])
    return weights / weights.sum()
