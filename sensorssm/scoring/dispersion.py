"""How far off a forecast will be, said at its origin: a log-linear scale, and a tilted middle.

The size of a residual follows how lively the tag has been: how much it changed from step to step,
and how far it was from its level, lately and for long. It follows the forecast itself too: what is
said to go far, from the level or from the last reading, is less sure. And where readings are
skewed, the middle of what comes lies to one side of a far forecast, which is a mean.

The scale is the one that makes residuals likeliest if they were double exponential; that is a
convex problem, and a few steps of Newton solve it. The tilt is the one of least absolute error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PENALTY = 0.1
# The scale is at most this far from usual, as a logarithm: exp(2) is 7 times.
FARTHEST = 2.0
# A logarithm of a spread, or a forecast's way in usual ones, counts as this far from usual at most.
MOST_UNUSUAL = 3.0
# A residual counts as this many usual ones at most.
WILDEST = 5.0
FEWEST_ROWS = 30
# With this many independent horizons to learn from, half of a tilt is believed.
FEW_HORIZONS = 4.0
# Steps of the horizon that the weights are learned from.
STEPS = 12
NEWTON_STEPS = 6


def knots_of(horizon: int, count: int = 8) -> IntArray:
    """Return the steps (K,) that stand for a horizon: 1, H and some between."""
    return np.unique(np.round(np.geomspace(1, horizon, count)).astype(np.int64))


def between_knots(knots: IntArray, horizon: int) -> FloatArray:
    """Return the matrix (H, K) that reads every step off the line between the knots."""
    steps = np.arange(1, horizon + 1)
    return np.stack([np.interp(steps, knots, unit) for unit in np.eye(len(knots))], axis=1)


def between_known(by_step: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Return (..., H, M) with the steps that are not `known` (H, M) read off the line between those
    that are, for each tag; as it is where none is."""
    out, steps = by_step.copy(), np.arange(known.shape[0])
    for tag, mine in enumerate(known.T):
        if mine.any() and not mine.all():
            reach = np.stack([np.interp(steps, steps[mine], unit) for unit in np.eye(mine.sum())])
            out[..., tag] = by_step[..., mine, tag] @ reach
    return out


class Context(NamedTuple):
    """What is known at k origins beside the forecast.

    Attributes
    ----------
    level, last : (k, M) the tag's slow mean and its last reading
    spread : (k, M, P) its running spreads
    waited : (k, M) steps from its last reading to the origin
    """

    level: FloatArray
    last: FloatArray
    spread: FloatArray
    waited: FloatArray


class Spread(NamedTuple):
    """Where the middle of forecasts lies and how far off they are, (k, S, M) each, in tag units."""

    middle: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Dispersion:
    """A log-linear scale and a tilt, for P spreads and two ways: from the level, and the size of the
    one from the last reading.

    Attributes
    ----------
    knots : (K,) steps, from 1
    floor : (M, P) added to each spread, so that a still tag has a logarithm
    way : (M,) usual size of a forecast's way from the level, in the tag's unit
    usual : (M, P + 2) the usual logarithm of each spread, and the usual ways
    typical : (M, K) logarithm of the usual scale at each knot
    weights : (M, P + 2)
    tilt : (M,) of the middle, in scales for each usual way
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
        return self._around(point, context, self.typical.T)

    def at_steps(self, point: FloatArray, context: Context, steps: IntArray) -> Spread:
        """Return the spread (k, H, M) of forecasts (k, H, M) that are `steps` (k, H, M) ahead of
        their tags' last readings."""
        typical = between_knots(self.knots, int(steps.max(initial=1))) @ self.typical.T
        return self._around(point, context, np.take_along_axis(typical[None], steps - 1, axis=1))

    def _around(self, point: FloatArray, context: Context, typical: FloatArray) -> Spread:
        lively, ways = _log_spread(context, self.floor), _ways(point, context, self.way)
        unusual = _weighed(lively - self.usual[:, :-2], self.weights[:, :-2])[:, None]
        unusual = unusual + _weighed(ways - self.usual[:, -2:], self.weights[:, -2:])
        scale = np.exp(typical + np.clip(unusual, -FARTHEST, FARTHEST))
        return Spread(point + self.tilt * ways[..., 0] * scale, scale)


def fit_dispersion(
    residual: FloatArray, point: FloatArray, context: Context, least: FloatArray, horizons: float
) -> Dispersion:
    """Return the scale and the tilt of held-back residuals.

    Parameters
    ----------
    residual, point : (k, H, M) observed minus forecast, and the forecast, by the steps since each
        tag's last reading; NaN where unknown
    context : at their origins
    least : (M,) no scale is smaller, in the tag's unit
    horizons : how many of them lie side by side in the rows that `residual` is taken from
    """
    horizon = residual.shape[1]
    knots = knots_of(horizon)
    steps = np.unique(np.linspace(0, horizon - 1, STEPS).astype(np.int64))
    floor = 0.01 * np.mean(context.spread, axis=0) + least[:, None]
    way = _usual_size(point[:, steps] - context.level[:, None], least)
    lively, ways = _log_spread(context, floor), _ways(point[:, steps], context, way)
    lively = np.broadcast_to(lively[:, None], (*ways.shape[:3], lively.shape[2]))
    inputs = np.concatenate([lively, ways], axis=-1)
    left = residual[:, steps]
    fits = [_fit_one(inputs[:, :, m], left[:, :, m], horizons) for m in range(len(least))]
    usual, weights, tilt = (np.array(part) for part in zip(*fits, strict=True))
    known = np.isfinite(residual).sum(axis=0) > 0
    sizes = np.log([_usual_size(residual[:, h, None], least) for h in range(horizon)])
    typical = between_known(sizes, known)[knots - 1].T
    return Dispersion(knots, floor, way, usual, typical, weights, tilt)


def _log_spread(context: Context, floor: FloatArray) -> FloatArray:
    return np.log(context.spread + floor)


def _ways(point: FloatArray, context: Context, way: FloatArray) -> FloatArray:
    """Return how far forecasts (k, S, M) go from the level, and from the last reading either way,
    (k, S, M, 2)."""
    rise = np.clip((point - context.level[:, None]) / way, -MOST_UNUSUAL, MOST_UNUSUAL)
    move = np.minimum(np.abs(point - context.last[:, None]) / way, MOST_UNUSUAL)
    return np.stack([rise, move], axis=-1)


def _weighed(unusual: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the sum (..., M) of what is unusual, (..., M, F), by weights (M, F)."""
    return (np.clip(unusual, -MOST_UNUSUAL, MOST_UNUSUAL) * weights).sum(axis=-1)


def _usual_size(x: FloatArray, least: FloatArray) -> FloatArray:
    """Return the mean size (M,) of what is known of (k, S, M), where the wildest count less."""
    size = np.abs(x).reshape(-1, x.shape[2])
    known = np.isfinite(size)
    size = np.where(known, size, 0.0)
    count = np.maximum(known.sum(axis=0), 1)
    most = np.maximum(WILDEST * size.sum(axis=0) / count, least)
    return np.maximum(np.minimum(size, most).sum(axis=0) / count, least)


def _fit_one(
    inputs: FloatArray, residual: FloatArray, horizons: float
) -> tuple[FloatArray, FloatArray, float]:
    """Return the inputs' usual values and their weights, (F,) each, and the tilt, of one tag.

    `inputs` (k, S, F) are of residuals (k, S).
    """
    known = np.isfinite(residual)
    enough = known.sum(axis=0) >= FEWEST_ROWS
    none = np.zeros(inputs.shape[2])
    if not enough.any():
        return none, none, 0.0
    known, inputs, residual = known[:, enough], inputs[:, enough], residual[:, enough]
    usual = inputs[known].mean(axis=0)
    unusual = np.clip(inputs - usual, -MOST_UNUSUAL, MOST_UNUSUAL)
    typical = np.nanmean(np.abs(residual), axis=0) + 1e-300
    size = np.minimum(np.abs(residual) / typical, WILDEST)
    weights = _likeliest(unusual[known], size[known], PENALTY + 1.0 / horizons)
    moved = np.clip(unusual @ weights, -FARTHEST, FARTHEST)
    scaled = residual / (typical * np.exp(moved))
    scaled = scaled - np.nanmedian(scaled, axis=0)
    tilt = _least_absolute(inputs[known][:, -2], scaled[known])
    return usual, weights, tilt * horizons / (horizons + FEW_HORIZONS)


def _likeliest(x: FloatArray, size: FloatArray, penalty: float) -> FloatArray:
    """Return weights (F,) for inputs (n, F) of a log scale that makes double exponential residuals
    of these sizes (n,) likeliest; `penalty` is for inputs of variance 1."""
    x = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    doubt = penalty * np.diag(np.r_[0.0, np.maximum(x[:, 1:].var(axis=0), 1e-6)])
    weights = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        left = size * np.exp(-np.clip(x @ weights, -FARTHEST, FARTHEST))
        slope = x.T @ (1.0 - left) / len(x) + doubt @ weights
        bend = (x * left[:, None]).T @ x / len(x) + doubt
        weights = weights - np.linalg.solve(bend + 1e-9 * np.eye(len(bend)), slope)
    return weights[1:]


def _least_absolute(x: FloatArray, y: FloatArray) -> float:
    """Return the t of the least sum of |y - t x|: the median of y / x, each weighed by |x|."""
    there = np.abs(x) > 1e-9
    if not there.any():
        return 0.0
    ratio, weight = y[there] / x[there], np.abs(x[there])
    order = np.argsort(ratio)
    total = np.cumsum(weight[order])
    return float(ratio[order][np.searchsorted(total, 0.5 * total[-1])])
