"""Readouts that are judged together on left-out blocks, and averaged rather than picked from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from sensorssm.models.linear import LAST, Bases
from sensorssm.models.readout import Normal, Sums

FloatArray = NDArray[np.float64]

EVERY_STEP = slice(None)


class Candidate(NamedTuple):
    """A base, and the penalties of the readout on top; where both are infinite, the base alone."""

    base: int
    shared: float = np.inf
    own: float = np.inf


def readouts(
    train: Sums,
    tag_scale: FloatArray,
    candidates: Sequence[Candidate],
    bases: Bases,
    steps: slice = EVERY_STEP,
) -> Iterator[FloatArray]:
    """Yield for each tag the weights (K, F, H) of the candidates, solved from `train`.

    They are added to the level, or to a season of `bases`: the last reading is a feature. `steps`
    are those of the horizon that are wanted.
    """
    origins = {bases.origin(c.base) for c in candidates}
    sums = {
        k: replace(train, zy=bases.products(bases.origins[k], train.zy)[..., steps])
        for k in origins
    }
    pooled = {k: Normal.pooled(own, tag_scale) for k, own in sums.items()}
    kinds = [(bases.origin(c.base), c.shared) for c in candidates]
    shared = {(k, penalty): pooled[k].solve(penalty) for k, penalty in set(kinds)}
    for tag in range(len(tag_scale)):
        own = {
            kind: pooled[kind[0]].of_tag(sums[kind[0]], tag, tag_scale, weights)
            for kind, weights in shared.items()
        }
        parts = [
            shared[kind] + own[kind].solve(c.own) for kind, c in zip(kinds, candidates, strict=True)
        ]
        weights = np.stack(parts)
        weights[[c.base == LAST for c in candidates], bases.last_column] += 1.0
        yield weights


def error_products(
    sums: Sums,
    block: int,
    tag: int,
    weights: FloatArray,
    candidates: Sequence[Candidate],
    bases: Bases,
    steps: slice = EVERY_STEP,
) -> FloatArray:
    """Return the summed products (K, K) of the candidates' errors on one block of one tag.

    `weights` are those of `steps`. Errors of an average of candidates follow from these: a' P a for
    shares a.
    """
    zz, zy = sums.zz[block, tag], sums.zy[block, tag]
    origin = np.array([bases.origin(c.base) for c in candidates])
    targets = [bases.products(base, zy)[:, steps] for base in bases.origins]
    flat = weights.reshape(len(weights), -1)
    told = flat @ np.stack([target.ravel() for target in targets], axis=1)[:, origin]
    own = flat @ (zz @ weights).reshape(len(weights), -1).T
    both = sums.yy[block, tag][..., steps].sum(axis=-1)
    return both[np.ix_(origin, origin)] - told - told.T + own


def best_shares(products: FloatArray) -> FloatArray:
    """Return the shares (K,), none negative and 1 in all, whose average has the least error."""
    count = len(products)
    size = np.trace(products) / count
    if not size > 0:
        return np.full(count, 1.0 / count)
    root = np.linalg.cholesky(products / size + 1e-9 * np.eye(count)).T
    heavy = 1e3  # on the row that asks for a sum of 1
    shares = nnls(np.vstack([root, np.full(count, heavy)]), np.r_[np.zeros(count), heavy])[0]
    return shares / shares.sum()
