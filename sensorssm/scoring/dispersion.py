"""How far off a forecast will be, said at its origin: a log-linear scale of running spreads.

The size of a residual h steps ahead follows how lively the tag has been: how much it changed from
step to step, and how far it was from its level, lately and for long. A ridge on the logarithms
weighs these; it is fitted at a few knots of the horizon and read off the line between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PENALTY = 0.1
# A spread counts as this far from usual at most, and so does the scale: exp(2) is 7 times.
FARTHEST = 2.0
FEWEST_ROWS = 30


def knots_of(horizon: int, count: int = 8) -> IntArray:
    """Return the steps (K,) that stand for a horizon: 1, H and some between."""
    return np.unique(np.round(np.geomspace(1, horizon, count)).astype(np.int64))


def between_knots(knots: IntArray, horizon: int) -> FloatArray:
    """Return the matrix (H, K) that reads every step off the line between the knots."""
    steps = np.arange(1, horizon + 1)
    return np.stack([np.interp(steps, knots, unit) for unit in np.eye(len(knots))], axis=1)


@dataclass(frozen=True)
class Dispersion:
    """A log-linear scale.

    Attributes
    ----------
    knots : (K,) steps, from 1
    usual : (M, P) the usual logarithm of each spread
    floor : (M, P) added to each spread, so that a still tag has a logarithm
    typical : (M, K) logarithm of the usual scale at each knot
    weights : (M, K, P)
    """

    knots: IntArray
    usual: FloatArray
    floor: FloatArray
    typical: FloatArray
    weights: FloatArray

    @property
    def usual_size(self) -> FloatArray:
        """Return the usual size (M,) of a one-step residual, in the tag's unit."""
        return np.exp(self.typical[:, 0])

    def at_knots(self, spread: FloatArray) -> FloatArray:
        """Return the scale (n, M, K), in the tag's unit, of running spreads (n, M, P)."""
        return np.exp(self._log_at_knots(spread))

    def at_steps(self, spread: FloatArray, horizon: int) -> FloatArray:
        """Return the scale (n, H, M)."""
        reach = between_knots(self.knots, horizon)
        return np.exp(np.einsum("hk,nmk->nhm", reach, self._log_at_knots(spread)))

    def _log_at_knots(self, spread: FloatArray) -> FloatArray:
        unusual = _unusual(spread, self.usual, self.floor)
        moved = (unusual[:, :, None, :] * self.weights).sum(axis=-1)
        return self.typical + np.clip(moved, -FARTHEST, FARTHEST)


def fit_dispersion(
    residual: FloatArray, spread: FloatArray, knots: IntArray, least: FloatArray
) -> Dispersion:
    """Return the scale of held-back residuals.

    Parameters
    ----------
    residual : (k, H, M) observed minus forecast, NaN where unknown
    spread : (k, M, P) at the residuals' origins
    least : (M,) no scale is smaller, in the tag's unit
    """
    floor = 0.01 * np.mean(spread, axis=0) + least[:, None]
    usual = np.log(spread + floor).mean(axis=0)
    unusual = _unusual(spread, usual, floor)
    tags, sizes = range(residual.shape[2]), np.abs(residual)
    fits = [[_fit_one(unusual[:, m], sizes[:, k - 1, m], least[m]) for k in knots] for m in tags]
    typical = np.array([[typical for typical, _ in row] for row in fits])
    weights = np.array([[weights for _, weights in row] for row in fits])
    return Dispersion(knots, usual, floor, typical, weights)


def _unusual(spread: FloatArray, usual: FloatArray, floor: FloatArray) -> FloatArray:
    return np.clip(np.log(spread + floor) - usual, -FARTHEST, FARTHEST)


def _fit_one(unusual: FloatArray, size: FloatArray, least: float) -> tuple[float, FloatArray]:
    """Return the typical logarithm and the weights (P,) for absolute residuals (k,)."""
    known = np.isfinite(size)
    none = np.zeros(unusual.shape[1])
    if not known.any():
        return float(np.log(least)), none
    middle = max(float(np.median(size[known])), least)
    if known.sum() < FEWEST_ROWS:
        return float(np.log(middle)), none
    # Very small residuals are luck; their logarithms would rule the fit.
    log_size = np.log(np.maximum(size[known], 0.1 * middle) / middle)
    x = unusual[known]
    gram = x.T @ x + PENALTY * len(x) * np.diag(np.maximum(x.var(axis=0), 1e-6))
    weights = np.linalg.solve(gram, x.T @ (log_size - log_size.mean()))
    return float(np.log(middle)), weights
