"""What all tags say about each tag's forecast: a closed-form readout across them.

The memory remembers every tag by itself. Where the valve moves, the level follows; what a tag's own
past leaves over is read from what is new in every tag, and from where its own forecast goes.
`sensorssm.estimators.mixing_fit` solves the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.errors import ModelFileError

FloatArray = NDArray[np.float64]

#: An input counts as this many standard deviations at most: no single tag may take over.
FARTHEST = 5.0
_PREFIX = "mixing."


@dataclass(frozen=True)
class Mixing:
    """A readout of the last P inputs of a correction, for K curves over the horizon of M tags.

    Attributes
    ----------
    centre, spread : (P,) mean and standard deviation of the inputs in training, as `compressed`
    weights : (P, K, M) in usual sizes of a residual, for an input one standard deviation off
    limit : (K, M) the most that training saw
    gain : (1,) share of the held-back absolute error that it took off
    """

    centre: FloatArray
    spread: FloatArray
    weights: FloatArray
    limit: FloatArray
    gain: FloatArray

    def __call__(self, inputs: NDArray[Any]) -> FloatArray:
        """Return coefficients (n, K, M) of inputs (n, F); a row's do not depend on its neighbours."""
        own = compressed(inputs[:, -len(self.centre) :])
        out = np.zeros((len(own), self.limit.size))
        _mix(scaled(own, self.centre, self.spread), self.weights.reshape(len(self.centre), -1), out)
        return np.clip(out.reshape(-1, *self.limit.shape), -self.limit, self.limit)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parts by name."""
        return {_PREFIX + name: part for name, part in vars(self).items()}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], most: int, curves: int, tags: int
    ) -> Self:
        """Return the readout of named parts, of `most` inputs at most.

        Raises
        ------
        ModelFileError : parts of other sizes; the compiled loop trusts them.
        """
        inputs = min(arrays[_PREFIX + "centre"].size, most)
        wanted = {
            "centre": (inputs,),
            "spread": (inputs,),
            "weights": (inputs, curves, tags),
            "limit": (curves, tags),
            "gain": (1,),
        }
        parts = {name: arrays[_PREFIX + name] for name in wanted}
        for name, shape in wanted.items():
            if parts[name].shape != shape or inputs == 0:
                raise ModelFileError(
                    f"tensor {_PREFIX + name!r} has shape {parts[name].shape}, wanted {shape}"
                )
        return cls(**{name: np.ascontiguousarray(part, float) for name, part in parts.items()})


def compressed(inputs: NDArray[Any]) -> FloatArray:
    """Return inputs in float64; one of 100 usual residuals counts as 5, not as 100."""
    return np.arcsinh(inputs, dtype=np.float64)


def scaled(inputs: FloatArray, centre: FloatArray, spread: FloatArray) -> FloatArray:
    """Return compressed inputs (n, P) in standard deviations from their mean, `FARTHEST` at most."""
    return np.clip((inputs - centre) / spread, -FARTHEST, FARTHEST)


@njit(cache=True, nogil=True)
def _mix(inputs, weights, out):
    for n in range(len(inputs)):
        for p in range(inputs.shape[1]):
            for c in range(weights.shape[1]):
                out[n, c] += inputs[n, p] * weights[p, c]
