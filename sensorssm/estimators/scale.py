"""Each tag's mean and spread, to take units off readings."""

from __future__ import annotations

from collections.abc import Sequence
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

    @classmethod
    def of_each(cls, parts: Sequence[FloatArray]) -> Self:
        """Return the scales (A + 1, M) of all parts together, then of each, (n, M) values.

        A tag that a part has no reading of is centred there as in all of them, and one that never
        varies there has their spread.
        """
        whole = cls.of(np.concatenate(parts))
        centres, spreads = [whole.centre], [whole.spread]
        for values in parts:
            own, known = cls.of(values), np.isfinite(values)
            high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
            low = np.where(known, values, np.inf).min(axis=0, initial=np.inf)
            centres.append(np.where(known.any(axis=0), own.centre, whole.centre))
            spreads.append(np.where(high > low, own.spread, whole.spread))
        return cls(np.stack(centres), np.stack(spreads))

    def strip(self, values: FloatArray) -> FloatArray:
        """Return (n, M) values in spreads from the mean."""
        return (values - self.centre) / self.spread
