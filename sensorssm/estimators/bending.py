"""What bends the shared readout for single assets, as it comes out of a fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.models.linear import LinearForecast
from sensorssm.models.readout import Sums

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class StaticEffect:
    """How K numbers of an asset bend the shared readout.

    Attributes
    ----------
    middle, spread : (K,) of the fitted assets' numbers
    low, high : (K,) the least and the most of them; beyond, nothing is known to change
    weights : (K, M, F, H) for each spread above the middle, over the lesson's horizon
    gain : share of the squared error of left-out assets that it took off
    """

    middle: FloatArray
    spread: FloatArray
    low: FloatArray
    high: FloatArray
    weights: NDArray[np.float32]
    gain: float

    def bend(self, linear: LinearForecast, numbers: FloatArray) -> LinearForecast:
        """Return `linear`, over the lesson's horizon or longer, for an asset of these numbers (K,)."""
        inputs = (np.clip(numbers, self.low, self.high) - self.middle) / self.spread
        horizon = self.weights.shape[3]
        added = np.tensordot(inputs, self.weights.astype(np.float64), axes=1)
        weights = linear.weights[:, :, :horizon] + added
        return replace(linear, weights=weights.astype(np.float32))


class FittedStatic(NamedTuple):
    """The effect, per block one that has not seen it, and the assets' numbers (A, K)."""

    effect: StaticEffect
    effects: dict[int, StaticEffect]
    numbers: FloatArray


@dataclass(frozen=True)
class OwnReadout:
    """What one asset is forecast by.

    Attributes
    ----------
    linear : over the lesson's horizon; linears : per block, a forecast that has not seen it
    sums : of the asset's training rows
    strength : that it is drawn to the shared readout by
    gain : share of its held-back squared error that it took off
    """

    linear: LinearForecast
    linears: dict[int, LinearForecast]
    sums: Sums
    strength: float
    gain: float
