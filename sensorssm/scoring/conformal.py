"""Forecast intervals that stay honest online: held-back residuals, widened by matured ones.

A quantile of a forecast is a middle plus an offset times a scale, both known at the origin
(`sensorssm.scoring.dispersion`). The offsets come from residuals that the fit held back.
Online, each reading that arrives judges the forecasts made for it 1, 2, .. H steps before: where
intervals missed too often all offsets spread from their median, where they missed too seldom they
close up. What makes one tag harder to forecast mostly does so to all, so each tag also follows what
the others miss. Only residuals that have matured are used, a few knots of the horizon stand for all of it,
and so a reading costs O(1). The median is left alone: chasing it with residuals that are a horizon
old cost up to a tenth of the CRPS on long horizons.

References
----------
Gibbs and Candes 2021, arXiv:2106.00170 (adaptive conformal inference); Angelopoulos, Candes and
Tibshirani 2023, arXiv:2307.16895 (tracking with a rate).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.errors import ConfigError
from sensorssm.scoring.dispersion import Context, Dispersion, between_knots
from sensorssm.scoring.dispersion_fit import between_known

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: The levels an offset is kept for; others are read off the line between them.
LEVELS = np.array(
    [0.005, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.995]
)
#: How much a miss moves the logarithm of the width, at step 1. Residuals h steps ahead overlap, so
#: that h of them tell little more than one: their share falls as 1 / sqrt(h).
RATE = 0.05
#: The intervals that are judged: those between the levels 0.1 and 0.9, and 0.3 and 0.7.
WIDE, NARROW = (3, 11), (5, 9)
MEDIAN = 7
#: The width stays within these times the fitted one, as a logarithm.
NARROWEST, WIDEST = math.log(0.25), math.log(4.0)
NEVER = -1.0


def check_levels(quantiles: object) -> FloatArray:
    """Return `quantiles` as increasing levels.

    Raises
    ------
    ConfigError : not a list of increasing numbers strictly between 0 and 1.
    """
    levels = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
    inside = np.all((levels > 0) & (levels < 1)) and levels.ndim == 1 and levels.size > 0
    if not inside or np.any(np.diff(levels) <= 0):
        raise ConfigError(
            f"quantiles={quantiles!r}, wanted increasing levels between 0 and 1, "
            "such as (0.1, 0.5, 0.9)"
        )
    return levels


class TrackerState(NamedTuple):
    """What is remembered of one asset.

    Attributes
    ----------
    width : (M, K) logarithm of how much wider than fitted the intervals are
    points : (R, M, K) the middles of the forecasts of the last R grid slots
    scales : (R, M, K) the scales they were made with; 0 where the tag was not read in the slot
    slots : (R,) the slots they were made in
    """

    width: FloatArray
    points: FloatArray
    scales: FloatArray
    slots: FloatArray

    def copy(self) -> TrackerState:
        """Return a state that shares nothing with this one."""
        return TrackerState(*(part.copy() for part in self))


@dataclass(frozen=True)
class Conformal:
    """Offsets of the quantiles, what they are multiplied by, and the rule that moves them.

    Attributes
    ----------
    offsets : (M, H, Q) float32, in scales, increasing in Q
    dispersion : the middle and the scale of a forecast, known at its origin
    """

    offsets: NDArray[np.float32]
    dispersion: Dispersion

    @cached_property
    def judged(self) -> FloatArray:
        """Return the offsets (M, K, Q) at the knots, as they are judged."""
        return self.offsets[:, self.dispersion.knots - 1].astype(np.float64)

    @cached_property
    def rates(self) -> FloatArray:
        """Return how much a miss moves the logarithm of the width at each knot, (K,)."""
        return RATE / np.sqrt(self.dispersion.knots)

    def init_state(self) -> TrackerState:
        """Return the state before any forecast."""
        tags, horizon, _ = self.offsets.shape
        knots, slots = len(self.dispersion.knots), horizon + 1
        return TrackerState(
            np.zeros((tags, knots)),
            np.zeros((slots, tags, knots)),
            np.ones((slots, tags, knots)),
            np.full(slots, NEVER),
        )

    def advance(
        self,
        values: FloatArray,
        slots: FloatArray,
        points: FloatArray,
        moved: FloatArray,
        context: Context,
        state: TrackerState,
        rows: IntArray,
    ) -> FloatArray:
        """Judge old forecasts by `values`, take in new ones; return the widths after `rows`.

        Parameters
        ----------
        values : (n, M); slots : (n,) their places on the grid
        points, moved : (n, M, K) forecasts made after each row, at the knots, as they were fitted,
            and what was added to them since
        context : of the n rows
        state : overwritten
        rows : increasing row numbers

        Returns
        -------
        (k, M, K)
        """
        out = np.empty((len(rows), *state.width.shape))
        around = self.dispersion.at_knots(points.swapaxes(1, 2), context)
        middles, scales = (np.ascontiguousarray(part.swapaxes(1, 2)) for part in around)
        middles += moved
        knots, rates = self.dispersion.knots, self.rates
        track(values, slots, middles, scales, knots, self.judged, rates, rows, *state, out)
        return out

    def quantiles(
        self, point: FloatArray, context: Context, width: FloatArray, levels: FloatArray
    ) -> FloatArray:
        """Return quantiles (k, H, M, Q), increasing in Q, of point forecasts (k, H, M).

        `width` is (k, M, K), `levels` (Q,). The steps that were waited count as steps ahead.
        """
        ahead = np.arange(1, point.shape[1] + 1)[:, None]
        steps = context.waited[:, None].astype(np.int64) + ahead
        steps = np.minimum(steps, self.offsets.shape[1])
        middle, scale = self.dispersion.at_steps(point, context, steps)
        out = self._offsets_at(steps, width, levels)
        out *= scale[..., None]
        out += middle[..., None]
        return out

    def _offsets_at(self, steps: IntArray, width: FloatArray, levels: FloatArray) -> FloatArray:
        """Return the offsets (k, H, M, Q) at `steps` (k, H, M), as wide as they are now."""
        far = int(steps.max(initial=1))
        reach = between_knots(self.dispersion.knots, far)
        wider = np.exp(np.einsum("hk,nmk->nhm", reach, width))[..., None]
        offsets = self.offsets[:, :far]
        middle = offsets[:, :, MEDIAN].T[..., None].astype(np.float64)
        out = middle + (read_offsets(offsets, levels) - middle) * wider
        if np.all(steps[:, 0] == 1):  # no tag waits
            return out
        return np.take_along_axis(out, steps[..., None] - 1, axis=1)


def fit_offsets(scaled: FloatArray) -> NDArray[np.float32]:
    """Return the offsets (M, H, Q) of held-back residuals, 0 where a tag has none.

    `scaled` (k, H, M) is observed minus forecast over the scale, NaN where unknown. A step at which
    nothing was ever read has the offsets between those of its neighbours.
    """
    known = np.isfinite(scaled).sum(axis=0) > 0
    # The next residual is as likely in any of the k + 1 gaps that k of them leave.
    offsets = np.nanquantile(np.where(known, scaled, 0.0), LEVELS, axis=0, method="weibull")
    offsets = between_known(offsets, known)
    return np.ascontiguousarray(_smooth_steps(offsets).transpose(2, 1, 0), dtype=np.float32)


def read_offsets(offsets: NDArray[np.float32], levels: FloatArray) -> FloatArray:
    """Return the offsets (H, M, len(levels)) at other levels, from (M, H, len(LEVELS))."""
    return np.einsum("mhl,lq->hmq", offsets.astype(np.float64), _between_levels(levels))


def _smooth_steps(offsets: FloatArray) -> FloatArray:
    """Average (Q, H, M) over neighbouring steps, which differ by noise more than by nature."""
    horizon = offsets.shape[1]
    half = min(horizon // 16, 8)
    if half == 0:
        return offsets
    steps = np.arange(horizon)
    reach = np.minimum(np.minimum(steps, horizon - 1 - steps), half)  # shorter at both ends
    total = np.concatenate([np.zeros_like(offsets[:, :1]), np.cumsum(offsets, axis=1)], axis=1)
    span = (2 * reach + 1)[None, :, None]
    return (total[:, steps + reach + 1] - total[:, steps - reach]) / span


def _between_levels(levels: FloatArray) -> FloatArray:
    """Return the matrix (len(LEVELS), Q) that reads `levels` off the line between LEVELS."""
    return np.stack([np.interp(levels, LEVELS, unit) for unit in np.eye(len(LEVELS))])


@njit(cache=True, nogil=True)
def track(
    values, slots, points, scales, knots, offsets, rates, rows,
    width, old_points, old_scales, old_slots, out,
):  # fmt: skip
    """Fold `Conformal.advance` over the rows; shapes as there, the state is overwritten."""
    room, tags = len(old_slots), values.shape[1]
    surprise = np.empty(tags)
    taken = 0
    for t in range(len(values)):
        for k in range(len(knots)):
            made = slots[t] - knots[k]
            place = int(made) % room
            if made < 0.0 or old_slots[place] != made:
                continue
            total, known = 0.0, 0
            for c in range(tags):
                surprise[c] = math.nan
                if math.isfinite(values[t, c]) and old_scales[place, c, k] > 0.0:
                    miss = (values[t, c] - old_points[place, c, k]) / old_scales[place, c, k]
                    surprise[c] = _surprise(miss, offsets[c, k], math.exp(width[c, k]))
                    total += surprise[c]
                    known += 1
            for c in range(tags):
                if math.isfinite(surprise[c]):
                    others = (total - surprise[c]) / max(known - 1, 1)
                    step = rates[k] * (surprise[c] + others)
                    width[c, k] = min(max(width[c, k] + step, NARROWEST), WIDEST)
        place = int(slots[t]) % room
        old_slots[place] = slots[t]
        for c in range(tags):
            read = 1.0 if math.isfinite(values[t, c]) else 0.0
            old_points[place, c] = points[t, c]
            old_scales[place, c] = scales[t, c] * read
        if taken < len(rows) and rows[taken] == t:
            out[taken] = width
            taken += 1


@njit(cache=True, nogil=True)
def _surprise(miss, offsets, wider):
    """Return how far outside the judged intervals a scaled residual is, 0 on average."""
    far = (miss - offsets[MEDIAN]) / wider + offsets[MEDIAN]
    wide = 1.0 if far < offsets[WIDE[0]] or far > offsets[WIDE[1]] else 0.0
    narrow = 1.0 if far < offsets[NARROW[0]] or far > offsets[NARROW[1]] else 0.0
    return 0.5 * (wide - 0.2) + 0.5 * (narrow - 0.6)
