"""The fitted coefficients of a detector, and how one asset's state is laid out in one row.

The detector's memory is a fixed diagonal SSM over all tags: the last `lags` rows and exponential
averages. Two readouts of it are compared with what came:

* the *forecast* of a row from the rows before it: its residual, under a full covariance, is large
  when something happens (a spike, a step, an oscillation, changed dynamics);
* the *peers' estimate* of each tag from all other tags and their averages: a forecast follows a
  transmitter that drifts or sticks, its peers do not.

Both residuals are watched at several time scales. Each watched statistic goes through a table
learnt on held-back rows to -log10 of its p-value; the mean of that evidence is calibrated again.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

SEEN, SCORE, HEAD = 0, 1, 2  # state: rows since the start, the last score; then the memory


class Cell(NamedTuple):
    """Everything `advance` needs, fitted. M tags, F = M (lags + K) + 1 features, C statistics.

    Attributes
    ----------
    center, scale : (M,) robust location and spread of each tag, in the tag's unit
    scored : (M,) 1 for a tag that scores, 0 for one that only informs
    fixed : (M,) 1 for a tag that never moved in training
    novelty : the least score of a row in which a fixed tag moves
    lags : rows remembered as they were
    decay : (K,) forgetting of the exponential averages, a step
    forecast : (F, M) the next row, scaled, from the memory; the last feature is the constant
    precision : (M, M) inverse covariance of the forecast's residual; zero where not scored
    spread : (M,) variance of the forecast's residual
    peers : (M (1 + K) + 1, M) each tag, scaled, from the others' readings and averages
    peer_mean, peer_var : (S, M) of the averaged peers' residual
    energy_gain, shift_gain, peer_gain : (E,), (H,), (S,) averaging of the squared residual, of the
        residual, and of the peers' residual
    reference_gain : following of the peers' residual by what it is compared with, while quiet
    knots, levels, slope : (C + 1, J), (C + 1, J), (C + 1,) statistic -> -log10 p, with a straight
        tail; the last row is the table of the summed evidence
    """

    center: FloatArray
    scale: FloatArray
    scored: FloatArray
    fixed: FloatArray
    novelty: float
    lags: int
    decay: FloatArray
    forecast: FloatArray
    precision: FloatArray
    spread: FloatArray
    peers: FloatArray
    peer_mean: FloatArray
    peer_var: FloatArray
    energy_gain: FloatArray
    shift_gain: FloatArray
    peer_gain: FloatArray
    reference_gain: float
    knots: FloatArray
    levels: FloatArray
    slope: FloatArray

    def check(self, tags: int) -> None:
        """Raise ValueError where the arrays do not fit together: compiled code trusts them."""
        slow, features = len(self.decay), tags * (self.lags + len(self.decay)) + 1
        count = 2 + len(self.energy_gain) + len(self.shift_gain) + len(self.peer_gain)
        wanted = {
            "center": (tags,), "scale": (tags,), "scored": (tags,), "fixed": (tags,),
            "spread": (tags,), "precision": (tags, tags),
            "forecast": (features, tags),
            "peers": (tags * (1 + slow) + 1, tags), "peer_mean": (len(self.peer_gain), tags),
            "peer_var": (len(self.peer_gain), tags), "slope": (count,),
            "levels": self.knots.shape, "knots": (count, *self.knots.shape[1:2]),
        }  # fmt: skip
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float64:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, wanted float64 {shape}")
        if self.lags < 1:
            raise ValueError(f"lags is {self.lags}, wanted 1 or more")
        for name in ("scale", "spread", "peer_var"):  # divided by
            if not (getattr(self, name) > 0).all():
                raise ValueError(f"{name} holds values that are not above 0")
        if (np.diff(self.knots, axis=1) <= 0).any():
            raise ValueError("knots do not increase")


@numba.njit(cache=True)
def state_size(cell: Cell) -> int:
    """Return the number of float64 in one asset's state row."""
    tags = cell.center.size
    memory = tags * (cell.lags + cell.decay.size) + 1
    watched = tags * (2 + cell.shift_gain.size + cell.peer_gain.size) + cell.energy_gain.size
    return HEAD + memory + watched


@numba.njit(cache=True)
def statistics_of(cell: Cell) -> int:
    """Return C, the number of watched statistics."""
    return 1 + cell.energy_gain.size + cell.shift_gain.size + cell.peer_gain.size
