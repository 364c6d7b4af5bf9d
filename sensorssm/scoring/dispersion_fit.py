"""The fit of a forecast's scale and tilt to residuals that were held back.

The scale is the one that makes residuals likeliest if they were double exponential; that is a
convex problem, and a few steps of Newton solve it. The tilt is the one of least absolute error.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.scoring.dispersion import (
    FARTHEST,
    MOST_UNUSUAL,
    WAYS,
    Context,
    Dispersion,
    knots_of,
    log_spread,
    way_of,
)

FloatArray = NDArray[np.float64]

PENALTY = 0.1
# A residual counts as this many usual ones at most.
WILDEST = 5.0
FEWEST_ROWS = 30
# With this many independent horizons to learn from, half of a tilt is believed.
FEW_HORIZONS = 4.0
# Over k horizons a random walk seems to return to its level, which is a tilt, and to save about this
# share / k of the absolute error: half of what it seems to save of the squared one.
RETURNING = 1.0
# Steps of the horizon that the weights are learned from.
STEPS = 12
NEWTON_STEPS = 6


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
    knots, sizes = knots_of(horizon), _sizes(residual, least)
    steps = np.unique(np.linspace(1, horizon, STEPS).astype(np.int64))
    left, said = residual[:, steps - 1], np.ascontiguousarray(point[:, steps - 1])
    may_walk = context.season.shape[2] == 1  # what has no season may be a random walk
    floor = 0.01 * np.mean(context.spread, axis=0) + least[:, None]
    way = _sizes((said - context.level[:, None]).reshape(-1, 1, len(least)), least)[0]
    inputs = np.empty((*said.shape, context.spread.shape[2] + WAYS))
    _inputs(said, steps, *context.plain, floor, way, inputs)
    fits = [
        _fit_one(inputs[:, :, m], left[:, :, m] / sizes[steps - 1, m], horizons, may_walk)
        for m in range(len(least))
    ]
    usual, weights, tilt = (np.array(part) for part in zip(*fits, strict=True))
    typical = np.log(sizes[knots - 1]).T.copy()
    return Dispersion(knots, floor, way, usual, typical, weights, tilt)


def between_known(by_step: FloatArray, known: NDArray[np.bool_]) -> FloatArray:
    """Return (..., H, M) with the steps that are not `known` (H, M) read off the line between those
    that are, for each tag; as it is where none is."""
    out, steps = by_step.copy(), np.arange(known.shape[0])
    for tag, mine in enumerate(known.T):
        if mine.any() and not mine.all():
            reach = np.stack([np.interp(steps, steps[mine], unit) for unit in np.eye(mine.sum())])
            out[..., tag] = by_step[..., mine, tag] @ reach
    return out


def _sizes(x: FloatArray, least: FloatArray) -> FloatArray:
    """Return the mean size (H, M) of what is known of (k, H, M), where the wildest count less."""
    known = np.isfinite(x)
    size, count = np.where(known, np.abs(x), 0.0), np.maximum(known.sum(axis=0), 1)
    most = np.maximum(WILDEST * size.sum(axis=0) / count, least)
    mean = np.maximum(np.minimum(size, most).sum(axis=0) / count, least)
    return np.exp(between_known(np.log(mean), known.sum(axis=0) > 0))


@njit(cache=True, nogil=True)
def _inputs(point, steps, level, season, spread, floor, way, out):
    """Write what the scale of tag c follows, at row n and step h, into out[n, h, c]."""
    spreads = floor.shape[1]
    for n in range(point.shape[0]):
        for h in range(point.shape[1]):
            for c in range(point.shape[2]):
                for i in range(spreads):
                    out[n, h, c, i] = log_spread(spread[n, c, i], floor[c, i])
                for i in range(WAYS):
                    far = way_of(i, point[n, h, c], level[n, c], season[n, c], steps[h]) / way[c]
                    out[n, h, c, spreads + i] = min(max(far, -MOST_UNUSUAL), MOST_UNUSUAL)


def _fit_one(
    inputs: FloatArray, residual: FloatArray, horizons: float, may_walk: bool
) -> tuple[FloatArray, FloatArray, float]:
    """Return the inputs' usual values and their weights, (F,) each, and the tilt, of one tag.

    `inputs` (k, S, F) are of residuals (k, S) in usual sizes.
    """
    known = np.isfinite(residual)
    none = np.zeros(inputs.shape[2])
    if not (known.sum(axis=0) >= FEWEST_ROWS).any():
        return none, none, 0.0
    usual = inputs[known].mean(axis=0)
    unusual = inputs[known] - usual
    unusual[:, :-WAYS] = np.clip(unusual[:, :-WAYS], -MOST_UNUSUAL, MOST_UNUSUAL)
    size = np.minimum(np.abs(residual[known]), WILDEST)
    weights = _likeliest(unusual, size, PENALTY + 1.0 / horizons)
    scaled = np.full(residual.shape, np.nan)
    scaled[known] = residual[known] / np.exp(np.clip(unusual @ weights, -FARTHEST, FARTHEST))
    told = known.any(axis=0)
    scaled[:, told] -= np.nanmedian(scaled[:, told], axis=0)
    return usual, weights, _tilt(inputs[known][:, -WAYS], scaled[known], horizons, may_walk)


def _tilt(rise: FloatArray, scaled: FloatArray, horizons: float, may_walk: bool) -> float:
    """Return the slope of residuals in scales (n,) over the forecasts' rise (n,), as far as it is
    believed."""
    tilt = _least_absolute(rise, scaled)
    believed = horizons / (horizons + FEW_HORIZONS)
    if may_walk:
        before, after = np.abs(scaled).sum(), np.abs(scaled - tilt * rise).sum()
        chance = RETURNING / horizons * before
        believed *= max(1.0 - chance / max(before - after, 1e-300), 0.0)
    return tilt * believed


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
