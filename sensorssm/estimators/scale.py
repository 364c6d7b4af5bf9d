"""Each tag's mean and spread, to take units off readings."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Scale(NamedTuple):
    """Mean and standard deviation (M,) of each tag; 0 and 1 for one that was never read."""

    centre: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Self:
        """Return the scale of (n, M) values; a constant tag has a spread of 1."""
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, values, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, values - centre, 0.0) ** 2).sum(axis=0) / count)
        # The mean of equal numbers differs from them by rounding, which is no spread.
        return cls(centre, np.where(spread > 1e-12 * np.abs(centre), spread, 1.0))

    def strip(self, values: FloatArray) -> FloatArray:
        """Return (n, M) values in spreads from the mean."""
        return (values - self.centre) / self.spread
