"""Point forecasts at a few steps of the horizon, after every row: what online calibration judges."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.models.linear import LAST, SEASON, LinearForecast
from sensorssm.models.memory import Features

FloatArray = NDArray[np.float64]


class KnotForecast:
    """The forecast of a `LinearForecast` at chosen steps, in a compiled loop of its own.

    A batch and a single row run the same loop, so that a comparison with a reading never falls
    one way offline and the other way online.
    """

    def __init__(self, linear: LinearForecast, knots: NDArray[np.int64]) -> None:
        tags, columns = len(linear.bases), len(knots)
        self.weights = np.ascontiguousarray(
            linear.weights[:, :, knots - 1].transpose(0, 2, 1), dtype=np.float64
        )
        # Where in the unrolled ring each base lies: -2 is the level, -1 the last reading.
        self.place = np.full((tags, columns), -2, dtype=np.int64)
        self.place[linear.bases == LAST] = -1
        for tag in np.flatnonzero(linear.bases >= SEASON):
            season = linear.seasons[linear.bases[tag] - SEASON]
            self.place[tag] = (knots - 1) % season + linear.memory.ring - season
        self.last_column = linear.memory.last_column

    def __call__(self, features: Features) -> FloatArray:
        """Return the forecasts (k, M, K) that follow k rows."""
        out = np.empty((features.z.shape[1], *self.place.shape))
        _forecast(
            features.z, features.level, features.recent, self.weights, self.place,
            self.last_column, out,
        )  # fmt: skip
        return out


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _forecast(z, level, recent, weights, place, last_column, out):
    for n in range(out.shape[0]):
        for c in range(out.shape[1]):
            for k in range(out.shape[2]):
                total = 0.0
                for f in range(weights.shape[2]):
                    total += weights[c, k, f] * z[c, n, f]
                total += level[n, c]
                if place[c, k] == -1:
                    total += z[c, n, last_column]
                elif place[c, k] >= 0:
                    total += recent[n, c, place[c, k]] - level[n, c]
                out[n, c, k] = total
