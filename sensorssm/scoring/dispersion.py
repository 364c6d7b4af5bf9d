"""How far off a forecast will be, said at its origin: a log-linear scale, and a tilted middle.

The size of a residual follows how lively the tag has been: how much it changed from step to step,
and how far it was from its level, lately and for long. It follows the forecast itself too: what is
said to go far from the plain forecasts, that is from the level, the last reading or the last season,
is less sure. And where readings are skewed, the middle of what comes lies to one side of a far
forecast, which is a mean. `sensorssm.scoring.dispersion_fit` learns all of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Ways of a forecast that its scale follows: from the level, the last reading, the last season.
WAYS = 3
#: The scale is at most this far from usual, as a logarithm: exp(2) is 7 times.
FARTHEST = 2.0
#: A logarithm of a spread, or a way in usual ones, counts as this far from usual at most.
MOST_UNUSUAL = 3.0


def knots_of(horizon: int, count: int = 8) -> IntArray:
    """Return the steps (K,) that stand for a horizon: 1, H and some between."""
    return np.unique(np.round(np.geomspace(1, horizon, count)).astype(np.int64))


def between_knots(knots: IntArray, horizon: int) -> FloatArray:
    """Return the matrix (H, K) that reads every step off the line between the knots."""
    steps = np.arange(1, horizon + 1)
    return np.stack([np.interp(steps, knots, unit) for unit in np.eye(len(knots))], axis=1)


class Context(NamedTuple):
    """What is known at k origins beside the forecast.

    Attributes
    ----------
    level : (k, M) the tag's slow mean
    season : (k, M, S) its last readings, oldest first: those of a season, or without one the last
    spread : (k, M, P) its running spreads
    waited : (k, M) steps from its last reading to the origin
    """

    level: FloatArray
    season: FloatArray
    spread: FloatArray
    waited: FloatArray

    @property
    def plain(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return level, season and spread as the compiled loops take them."""
        season, spread = (np.ascontiguousarray(part) for part in (self.season, self.spread))
        return np.ascontiguousarray(self.level), season, spread


class Spread(NamedTuple):
    """Where the middle of forecasts lies and how far off they are, (k, S, M) each, in tag units."""

    middle: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Dispersion:
    """A log-linear scale for P spreads and `WAYS` ways of the forecast, and a tilt.

    Attributes
    ----------
    knots : (K,) steps, from 1
    floor : (M, P) added to each spread, so that a still tag has a logarithm
    way : (M,) usual size of a forecast's way from the level, in the tag's unit
    usual : (M, P + WAYS) the usual logarithm of each spread, and the usual ways
    typical : (M, K) logarithm of the usual scale at each knot
    weights : (M, P + WAYS)
    tilt : (M,) of the middle, in scales for each usual way from the level
    """

    knots: IntArray
    floor: FloatArray
    way: FloatArray
    usual: FloatArray
    typical: FloatArray
    weights: FloatArray
    tilt: FloatArray

    @property
    def usual_size(self) -> FloatArray:
        """Return the usual size (M,) of a one-step residual, in the tag's unit."""
        return np.exp(self.typical[:, 0])

    def at_knots(self, point: FloatArray, context: Context) -> Spread:
        """Return the spread (k, K, M) of forecasts (k, K, M) at the knots."""
        steps, typical = np.empty(point.shape, dtype=np.int64), np.empty(point.shape)
        steps[:], typical[:] = self.knots[:, None], self.typical.T
        return self._around(point, context, steps, typical)

    def at_steps(self, point: FloatArray, context: Context, steps: IntArray) -> Spread:
        """Return the spread (k, H, M) of forecasts (k, H, M) that are `steps` (k, H, M) ahead of
        their tags' last readings."""
        typical = between_knots(self.knots, int(steps.max(initial=1))) @ self.typical.T
        return self._around(
            point, context, steps, np.take_along_axis(typical[None], steps - 1, axis=1)
        )

    def _around(
        self, point: FloatArray, context: Context, steps: IntArray, typical: FloatArray
    ) -> Spread:
        around = Spread(np.empty(point.shape), np.empty(point.shape))
        _spread(
            np.ascontiguousarray(point),
            steps,
            typical,
            *context.plain,
            self.floor,
            self.way,
            self.usual,
            self.weights,
            self.tilt,
            *around,
        )
        return around


@njit(cache=True, nogil=True)
def _spread(
    point, steps, typical, level, season, spread, floor, way, usual, weights, tilt, middle, scale
):  # fmt: skip
    """Write `Dispersion._around` for all rows; shapes as there and in `Context`."""
    spreads = floor.shape[1]
    for n in range(point.shape[0]):
        for c in range(point.shape[2]):
            lively = 0.0
            for i in range(spreads):
                far = log_spread(spread[n, c, i], floor[c, i]) - usual[c, i]
                lively += weights[c, i] * min(max(far, -MOST_UNUSUAL), MOST_UNUSUAL)
            for h in range(point.shape[1]):
                unusual = lively
                for i in range(WAYS):
                    far = (
                        way_of(i, point[n, h, c], level[n, c], season[n, c], steps[n, h, c])
                        / way[c]
                    )
                    far = min(max(far, -MOST_UNUSUAL), MOST_UNUSUAL)
                    unusual += weights[c, spreads + i] * (far - usual[c, spreads + i])
                    if i == 0:
                        middle[n, h, c] = tilt[c] * far
                unusual = min(max(unusual, -FARTHEST), FARTHEST)
                scale[n, h, c] = math.exp(typical[n, h, c] + unusual)
                middle[n, h, c] = point[n, h, c] + middle[n, h, c] * scale[n, h, c]


@njit(cache=True, nogil=True)
def log_spread(spread, floor):
    """Return the logarithm of a running spread; a still tag has one."""
    return math.log(spread + floor)


@njit(cache=True, nogil=True)
def way_of(i, point, level, season, step):
    """Return how far a forecast of a step goes: from the level, with its sign, or from the last
    reading or the same step of the last season."""
    if i == 0:
        return point - level
    if i == 1:
        return abs(point - season[-1])
    return abs(point - season[(step - 1) % len(season)])
