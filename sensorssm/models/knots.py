"""Point forecasts at a few steps of the horizon, after every row: what online calibration judges."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features

FloatArray = NDArray[np.float64]


class KnotForecast:
    """The forecast of a `LinearForecast` at chosen steps, in a compiled loop of its own.

    A batch and a single row run the same loop, so that a comparison with a reading never falls
    one way offline and the other way online.
    """

    def __init__(self, linear: LinearForecast, knots: NDArray[np.int64]) -> None:
        self.weights = np.ascontiguousarray(
            linear.weights[:, :, knots - 1].transpose(0, 2, 1), dtype=np.float64
        )
        self.shares = linear.bases.astype(np.float64)
        seasons = np.array(linear.seasons, dtype=np.int64)[:, None]
        # Where in the unrolled ring each season says a knot, (S, K).
        self.places = (knots - 1) % seasons + linear.memory.ring - seasons

    def __call__(self, features: Features) -> FloatArray:
        """Return the forecasts (k, M, K) that follow each tag's last reading up to k rows."""
        tags, knots = self.weights.shape[:2]
        out = np.empty((features.z.shape[1], tags, knots))
        _forecast(
            features.z, features.level, features.recent, self.weights, self.shares, self.places, out
        )
        return out


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _forecast(z, level, recent, weights, shares, places, out):
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            for k in range(out.shape[2]):
                total = 0.0
                for f in range(weights.shape[2]):
                    total += weights[c, k, f] * z[c, n, f]
                total += level[n, c]
                for s in range(shares.shape[1]):
                    if shares[c, s] > 0.0:
                        total += shares[c, s] * (recent[n, c, places[s, k]] - level[n, c])
                out[n, c, k] = total
