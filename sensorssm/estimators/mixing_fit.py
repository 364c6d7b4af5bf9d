"""The fit of a readout across tags to residuals that were held back, as far as it is believed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from sensorssm.estimators.gate import gain
from sensorssm.estimators.mixing import Mixing, compressed, scaled
from sensorssm.estimators.selection import RETURNING, belief, doubts_of
from sensorssm.estimators.stacking import best_shares

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: In rows per row, for inputs of variance 1. Forecasts are averages over them.
PENALTIES = (1e-2, 1e-1, 1.0)
#: A residual counts as this many usual ones at most: a spike among the targets is nobody's fault.
WILDEST = 4.0
#: What moves by less than this, in usual residuals, is not blown up to say something.
LEAST_SPREAD = 0.05
#: A smaller improvement of the absolute error is not worth a readout of all tags at every reading.
LEAST_GAIN = 0.002
FEWEST_ROWS = 200
FEWEST_BLOCKS = 3


class Mixed(NamedTuple):
    """A readout across tags, and for each block one that has not learned from it.

    held_back : (k, K, M) the coefficients that those gave at the rows it was fitted to
    """

    mixing: Mixing
    by_block: dict[int, Mixing]
    held_back: FloatArray

    def at(self, inputs: NDArray[np.float32], block: IntArray) -> FloatArray:
        """Return coefficients (n, K, M) of rows by what has not learned from their blocks (n,)."""
        out = self.mixing(inputs)
        for judge, mixing in self.by_block.items():
            out[block == judge] = mixing(inputs[block == judge])
        return out


def fit_mixing(
    inputs: NDArray[np.float32],
    residual: FloatArray,
    block: IntArray,
    basis: NDArray[np.float32],
    *,
    judging: int,
    horizons: float,
    may_walk: bool,
) -> Mixed | None:
    """Return the readout across tags, or None where it does not earn its place.

    Parameters
    ----------
    inputs : (k, P) what is known of all tags after k rows
    residual : (k, H, M) of held-back forecasts from there, in usual sizes; NaN where unknown
    block : (k,) the block that each row was held back in; those of `judging` teach nothing
    basis : (K, H) the curves over the horizon that it may move a forecast by
    horizons : how many lie side by side in the rows
    may_walk : whether the tags may be random walks, which seem to return to where they were
    """
    blocks = np.unique(block[np.isfinite(residual).any(axis=(1, 2))])
    taught = blocks[blocks != judging]
    rows = np.isin(block, taught)
    enough = rows.sum() >= max(FEWEST_ROWS, inputs.shape[1])
    if not enough or len(blocks) < FEWEST_BLOCKS or len(taught) < 2:
        return None
    own = compressed(inputs)
    centre, spread = own[rows].mean(axis=0), np.maximum(own[rows].std(axis=0), LEAST_SPREAD)
    lesson = _Lesson.of(scaled(own, centre, spread), residual, basis, block, taught)
    tried = lesson.tried(blocks)
    products = lesson.error_products(tried, blocks)
    chance = RETURNING / horizons if may_walk else 0.0
    shares, unseen = _believed_shares(products, doubts_of(horizons), chance)
    pairs = [
        (residual[block == judge], _moved(told, tried[:, block == judge], basis))
        for told, judge in zip(unseen, blocks, strict=True)
    ]
    gained = gain(pairs, least=LEAST_GAIN)
    logger.info("readout across tags: gain %.4f, kept: %s", gained.mean, gained.is_earned)
    if not gained.is_earned:
        return None
    held_back = np.einsum("mc,cnkm->nkm", shares, tried)
    fitted = np.abs(held_back[rows]).max(axis=0), np.array([gained.mean])

    def without(judge: int) -> Mixing:
        solved = lesson.solve(taught[taught != judge])
        weights = np.einsum("mc,cpkm->pkm", shares, solved)
        return Mixing(centre, spread, np.ascontiguousarray(weights), *fitted)

    return Mixed(without(judging), {int(judge): without(judge) for judge in taught}, held_back)


class _Products(NamedTuple):
    """Sums of inputs times inputs (P, P) and times targets (P, K M), over so many rows."""

    zz: FloatArray
    zy: FloatArray
    rows: int


def _moved(shares: FloatArray, tried: FloatArray, basis: NDArray[np.float32]) -> FloatArray:
    """Return what averages (M, C) of coefficients (C, k, K, M) add to forecasts, (k, H, M)."""
    return np.einsum("mc,cnkm,kh->nhm", shares, tried, basis, optimize=True)


@dataclass(frozen=True)
class _Lesson:
    """Inputs (k, P), target coefficients (k, K, M), the mean square that no curve explains (k, M),
    each row's block (k,), and the sums of each block that teaches."""

    inputs: FloatArray
    target: FloatArray
    rest: FloatArray
    block: IntArray
    sums: dict[int, _Products]

    @classmethod
    def of(
        cls,
        inputs: FloatArray,
        residual: FloatArray,
        basis: NDArray[np.float32],
        block: IntArray,
        taught: IntArray,
    ) -> _Lesson:
        held = np.clip(np.nan_to_num(residual), -WILDEST, WILDEST)
        target = np.einsum("nhm,kh->nkm", held, basis, optimize=True) / basis.shape[1]
        rest = (held**2).mean(axis=1) - (target**2).sum(axis=1)
        sums = {}
        for own in taught:
            x, y = inputs[block == own], target[block == own].reshape(-1, target[0].size)
            sums[int(own)] = _Products(x.T @ x, x.T @ y, len(x))
        return cls(inputs, target, rest, block, sums)

    def solve(self, blocks: Iterable[int]) -> FloatArray:
        """Return ridge weights (C, P, K, M) for every penalty, from the sums of `blocks`."""
        sums = [self.sums[k] for k in blocks]
        zz = np.sum([own.zz for own in sums], axis=0)
        zy = np.sum([own.zy for own in sums], axis=0)
        rows, solved = sum(own.rows for own in sums), []
        for penalty in PENALTIES:
            gram = zz + penalty * rows * np.eye(len(zz))
            solved.append(cho_solve(cho_factor(gram, overwrite_a=True), zy))
        return np.reshape(solved, (len(PENALTIES), len(zz), *self.target.shape[1:]))

    def tried(self, blocks: IntArray) -> FloatArray:
        """Return coefficients (C, k, K, M) by weights that have not learned from a row's block."""
        tried = np.zeros((len(PENALTIES), *self.target.shape))
        for judge in blocks:
            weights = self.solve(k for k in self.sums if k != judge)
            own = self.inputs[self.block == judge]
            tried[:, self.block == judge] = np.einsum("np,cpkm->cnkm", own, weights, optimize=True)
        return tried

    def error_products(self, tried: FloatArray, blocks: IntArray) -> FloatArray:
        """Return the mean products (folds, M, 1 + C, 1 + C) of the errors without a readout, and of
        each, on blocks that they had not seen."""
        errors = np.concatenate([self.target[None], self.target - tried])
        products = []
        for judge in blocks:
            own, rest = errors[:, self.block == judge], self.rest[self.block == judge]
            both = np.einsum("ankm,bnkm->mab", own, own, optimize=True) / len(rest)
            products.append(both + rest.mean(axis=0)[:, None, None])
        return np.array(products)


def _believed_shares(
    products: FloatArray, doubts: float, chance: float
) -> tuple[FloatArray, FloatArray]:
    """Return each tag's shares (M, C) of the readouts, as far as their gain is believed, and for
    every fold (folds, M, C) those that the other folds ask for."""
    total = products.sum(axis=0)
    unseen = np.array([_shares(total - own) for own in products])
    told = np.einsum("fma,fmab,fmb->mf", unseen, products, unseen)
    none = products[:, :, 0, 0].T
    far = [belief(own, other, doubts, chance) for own, other in zip(told, none, strict=True)]
    scale = np.array(far)[:, None]
    return _shares(total)[:, 1:] * scale, unseen[:, :, 1:] * scale


def _shares(products: FloatArray) -> FloatArray:
    """Return the best shares (M, 1 + C); all tags together tell as much as a tag's own rows do."""
    return np.array([best_shares(own + products.mean(axis=0)) for own in products])
