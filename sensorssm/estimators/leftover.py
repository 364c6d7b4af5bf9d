"""What a forecast leaves of an asset's targets, told from sums, and the ridge that learns from it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.models.linear import LinearForecast
from sensorssm.models.readout import ROUNDING, Normal, Sums

FloatArray = NDArray[np.float64]

#: Rows that the forecast which is added to stands for. Held-back errors are flat around the best:
#: three times as much or as little costs 1 to 2 % where assets differ.
STRENGTHS = (1e3, 5e3, 2.5e4)


class Left(NamedTuple):
    """Products of one tag: z'z (F, F), z' left (F, H), and left squared (H,), over `rows`.

    `scale` (F,) are the features' sizes.
    """

    zz: FloatArray
    zy: FloatArray
    yy: FloatArray
    rows: float
    scale: FloatArray

    def solve(self, strength: float, steps: slice = slice(None)) -> FloatArray:
        """Return the ridge weights (F, S) of what is left, of some steps."""
        normal = Normal(self.zz, self.zy[:, steps], self.rows, self.scale)
        return normal.solve(strength / max(self.rows, 1.0))

    def squared_error(self, weights: FloatArray, steps: slice) -> float:
        """Return what weights (F, S) of some steps still leave, squared and summed."""
        told = np.sum(weights * (self.zz @ weights - 2.0 * self.zy[:, steps]))
        return max(float(self.yy[steps].sum() + told), 0.0)

    def beyond(self, first: int) -> Left:
        """Return the products of the features from `first` on."""
        part = slice(first, None)
        return Left(self.zz[part, part], self.zy[part], self.yy, self.rows, self.scale[part])


def left_of(
    linear: LinearForecast, sums: Sums, block: int, tag: int, tag_scale: FloatArray
) -> Left:
    """Return what `linear` leaves of one tag's targets in a block; `tag_scale` is (M,).

    `sums` may have more features than the forecast; those it gives no weight.
    """
    bases, weights = linear.plain(linear.horizon), linear.weights[tag].astype(np.float64)
    seasons = linear.bases[tag].astype(np.float64)
    shares = np.r_[1.0 - seasons.sum(), seasons]  # of the origins
    zz, rows = sums.zz[block, tag], float(sums.rows[block, tag])
    parts = [bases.products(base, sums.zy[block, tag]) for base in bases.origins]
    zy = np.tensordot(shares, parts, axes=1)
    yy = np.einsum("a,abh,b->h", shares, sums.yy[block, tag], shares)
    told = zz[:, : len(weights)] @ weights
    yy = yy + np.sum(weights * (told[: len(weights)] - 2.0 * zy[: len(weights)]), axis=0)
    scale = np.sqrt(np.diag(zz) / max(rows, 1.0))
    scale = np.where(scale > ROUNDING * tag_scale[tag], scale, np.inf)
    return Left(zz, zy - told, yy, rows, scale)
