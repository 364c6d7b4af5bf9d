"""The closed-form readout: ridge weights from sums that add up, shared by the tags and bent per tag.

All that is needed of any amount of readings are, per tag and block of rows, the products
``z' z``, ``z' y`` and ``y' y``. They add up over chunks, assets and later readings, and they give
the squared error of any weights on any block exactly, so that penalties can be judged on blocks
that were left out without keeping a single row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

FloatArray = NDArray[np.float64]

#: Features smaller than this share of a tag's standard deviation are taken for rounding.
ROUNDING = 1e-6


@dataclass
class Sums:
    """Products of features z and targets y, per block and tag.

    Attributes
    ----------
    zz : (blocks, M, F, F)
    zy : (blocks, M, F, T) for T target columns
    yy : (blocks, M, *) squares or products of the targets that are judged
    rows : (blocks, M) rows added up
    """

    zz: FloatArray
    zy: FloatArray
    yy: FloatArray
    rows: FloatArray

    @classmethod
    def empty(
        cls, blocks: int, tags: int, features: int, targets: int, judged: tuple[int, ...]
    ) -> Sums:
        """Return sums of nothing; `judged` is the shape of one tag's squares."""
        return cls(
            np.zeros((blocks, tags, features, features)),
            np.zeros((blocks, tags, features, targets)),
            np.zeros((blocks, tags, *judged)),
            np.zeros((blocks, tags)),
        )

    def blank(self) -> Sums:
        """Return sums of nothing, of the same shapes."""
        return Sums(*(np.zeros_like(part) for part in vars(self).values()))

    @classmethod
    def stacked(cls, parts: Sequence[Sums]) -> Sums:
        """Return the blocks of all parts, in their order."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def widened(self, inputs: FloatArray) -> Sums:
        """Return the sums of the features times each of `inputs` (K,), constant over all rows.

        The features are then those of the first input, those of the second, and so on.
        """
        zz = np.asarray(np.kron(np.outer(inputs, inputs), self.zz), dtype=np.float64)
        zy = np.asarray(np.kron(inputs[:, None], self.zy), dtype=np.float64)
        return Sums(zz, zy, self.yy.copy(), self.rows.copy())

    def first(self, features: int) -> Sums:
        """Return the sums of the first features alone."""
        zz, zy = self.zz[..., :features, :features], self.zy[..., :features, :]
        return Sums(zz, zy, self.yy, self.rows)

    def add(self, block: int, tag: int, z: FloatArray, y: FloatArray, products: FloatArray) -> None:
        """Add k rows, z (k, F), y (k, T) and their summed products, to one block of one tag."""
        self.zz[block, tag] += z.T @ z
        self.zy[block, tag] += z.T @ y
        self.yy[block, tag] += products
        self.rows[block, tag] += len(z)

    def join(self, other: Sums) -> None:
        """Add the sums of other rows, block by block."""
        for own, more in zip(vars(self).values(), vars(other).values(), strict=True):
            own += more

    def weigh(self, weights: FloatArray) -> None:
        """Let the rows of each tag count `weights` (M,) times in the products."""
        self.zz *= weights[:, None, None]
        self.zy *= weights[:, None, None]
        self.yy *= weights.reshape(-1, *[1] * (self.yy.ndim - 2))

    def select(self, blocks: list[int]) -> Sums:
        """Return the sums over some blocks, as a single block."""
        parts = (self.zz, self.zy, self.yy, self.rows)
        return Sums(*(part[blocks].sum(axis=0, keepdims=True) for part in parts))

    def squared_error(self, block: int, tag: int, weights: FloatArray) -> FloatArray:
        """Return the summed squared error (T,) of `weights` (F, T) on one block of one tag."""
        cross = np.einsum("ft,ft->t", weights, self.zy[block, tag])
        own = np.einsum("ft,ft->t", weights, self.zz[block, tag] @ weights)
        return np.maximum(self.yy[block, tag] - 2 * cross + own, 0.0)


@dataclass(frozen=True)
class Normal:
    """One set of normal equations with its feature scales, ready for any penalty."""

    zz: FloatArray
    zy: FloatArray
    rows: float
    scale: FloatArray

    @classmethod
    def pooled(cls, sums: Sums, tag_scale: FloatArray) -> Normal:
        """Return the equations that all tags share, each tag divided by its own scale (M,)."""
        per = 1.0 / tag_scale**2
        zz = np.einsum("m,mfg->fg", per, sums.zz[0])
        rows = float(sums.rows[0].sum())
        scale = np.sqrt(np.diag(zz) / max(rows, 1.0))
        zy = np.einsum("m,mft->ft", per, sums.zy[0])
        # A pole as slow as the level is the level: what is left of it is rounding, no feature.
        return cls(zz, zy, rows, np.where(scale > ROUNDING, scale, np.inf))

    def of_tag(self, sums: Sums, tag: int, tag_scale: FloatArray, shared: FloatArray) -> Normal:
        """Return the equations of what `shared` weights leave of one tag, in the shared scales."""
        zz = sums.zz[0, tag] / tag_scale[tag] ** 2
        zy = sums.zy[0, tag] / tag_scale[tag] ** 2 - zz @ shared
        return Normal(zz, zy, float(sums.rows[0, tag]), self.scale)

    def solve(self, penalty: float) -> FloatArray:
        """Return ridge weights (F, T); `penalty` is in rows per row, for features of scale 1."""
        if not np.isfinite(penalty) or self.rows == 0:
            return np.zeros_like(self.zy)
        inverse = 1.0 / self.scale
        gram = self.zz * inverse[:, None] * inverse
        gram.flat[:: len(gram) + 1] += penalty * self.rows
        factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
        scaled = cho_solve(factor, self.zy * inverse[:, None], check_finite=False)
        return scaled * inverse[:, None]
