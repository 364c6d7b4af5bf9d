"""The fitted coefficients of a detector, and how one asset's state is laid out in one row.

The detector's memory is a fixed diagonal SSM over all tags: the last `lags` rows and exponential
averages. Its readout is the forecast of a row from the rows before it. What the forecast misses,
the residual, is watched in two ways, each under a full covariance:

* the *energy* of the residual, at once and averaged, is large when something happens: a spike, a
  step, an oscillation, changed dynamics;
* the *shift* of its long signed mean is large when the forecast is wrong the same way each time,
  be it by little: a drift, a stuck transmitter, a leak, a relation between tags that is broken.

Each watched statistic goes through a table learnt on held-back rows to -log10 of its p-value; the
mean of that evidence is calibrated again. A tag that stands alone has its *level* watched in place
of the shift, and is compared with its own past instead: see `sensorssm.scoring.precedents`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.precedents import FIRST, HELD

FloatArray = NDArray[np.float64]

SEEN, STOOD, HEAD = 0, 1, 2  # state: rows since the start; rows a shift stood; the memory


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
    energy_gain : (E,) averaging of the squared residual, fast to slow
    shift_gain, recent_gain : averaging of the signed residual, over many rows and over few
    reference_gain : following of the residual by what it is compared with, while quiet
    shift_limit : squared norm of the two means' difference beyond which the long one gives way
    quiet : squared norm of the long mean up to which the reference follows
    patience : rows for which a shift stands before the reference follows it as well
    shift_precision : (M, M) inverse covariance of the long mean; zero where not scored
    signature : (M, M) column i, times the long mean: how far a lasting offset of tag i explains it
    knots, levels, slope : (C + 1, J), (C + 1, J), (C + 1,) statistic -> -log10 p, with a straight
        tail; the last row is the table of the summed evidence
    weights, precedents, rows : of a tag that scores alone, as `precedents` says: (C,), (C, T) and
        the number of training rows; else of no statistic
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
    energy_gain: FloatArray
    shift_gain: float
    recent_gain: float
    reference_gain: float
    shift_limit: float
    quiet: float
    patience: float
    shift_precision: FloatArray
    signature: FloatArray
    knots: FloatArray
    levels: FloatArray
    slope: FloatArray
    weights: FloatArray
    precedents: FloatArray
    rows: float

    def check(self, tags: int) -> None:
        """Raise ValueError where the arrays do not fit together: compiled code trusts them."""
        features = tags * (self.lags + len(self.decay)) + 1
        count = 3 + len(self.energy_gain)
        wanted = {
            "center": (tags,), "scale": (tags,), "scored": (tags,), "fixed": (tags,),
            "spread": (tags,), "precision": (tags, tags), "shift_precision": (tags, tags),
            "signature": (tags, tags),
            "forecast": (features, tags), "slope": (count,),
            "levels": self.knots.shape, "knots": (count, *self.knots.shape[1:2]),
            "weights": (count - 1 if tags == 1 else 0,), "precedents": (len(self.weights), HELD),
        }  # fmt: skip
        for name, shape in wanted.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float64:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, wanted float64 {shape}")
        if self.lags < 1:
            raise ValueError(f"lags is {self.lags}, wanted 1 or more")
        for name in ("shift_gain", "recent_gain", "reference_gain"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name)}, wanted above 0 and at most 1")
        for name in ("shift_limit", "quiet", "patience", "rows"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} is {getattr(self, name)}, wanted 0 or more")
        for name in ("scale", "spread"):  # divided by
            if not (getattr(self, name) > 0).all():
                raise ValueError(f"{name} holds values that are not above 0")
        if (np.diff(self.knots, axis=1) <= 0).any():
            raise ValueError("knots do not increase")


@numba.njit(cache=True)
def state_size(cell: Cell) -> int:
    """Return the number of float64 in one asset's state row."""
    tags = cell.center.size
    memory = tags * (cell.lags + cell.decay.size) + 1
    return HEAD + memory + tags * 4 + cell.energy_gain.size + past_size(cell)


@numba.njit(cache=True)
def past_size(cell: Cell) -> int:
    """Return how much of the state row, its end, is a lone tag's past."""
    return FIRST + cell.precedents.size if cell.weights.size > 0 else 0


@numba.njit(cache=True)
def statistics_of(cell: Cell) -> int:
    """Return C, the number of watched statistics."""
    return 2 + cell.energy_gain.size
