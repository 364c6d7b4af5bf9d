"""Which base and which penalties each tag's readout takes, judged on blocks that were left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.learning import Learned
from sensorssm.models.linear import LAST, SEASON, Bases
from sensorssm.models.readout import Normal, Sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHARED_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
OWN_PENALTIES = (np.inf, 1.0, 1e-1, 1e-2)
# A gain below this share is not worth leaving what is plainer.
LEAST_GAIN = 0.01
# With this many independent horizons to judge by, the doubt is doubled.
FEW_HORIZONS = 4.0


@dataclass(frozen=True)
class Fold:
    """Sums to solve from, and the block of sums to judge on."""

    train: Sums
    judge: int


@dataclass(frozen=True)
class Choice:
    """The settings of the readout.

    shared : the penalty of the shared weights, per base
    base : (M,) the base of each tag; own : (M,) the penalty of its own weights, NaN where the tag
    takes its plain base
    """

    shared: tuple[float, ...]
    base: IntArray
    own: FloatArray


def choose(learned: Learned, tag_scale: FloatArray, bases: Bases) -> Choice:
    """Return the settings that do best on the left-out blocks, in doubt the plainest ones."""
    folds = make_folds(learned)
    tags = len(tag_scale)
    if not folds:
        last = np.full(tags, LAST, dtype=np.int64)
        return Choice((1.0,) * bases.count, last, np.full(tags, np.nan))
    judge = _Judge(learned, folds, tag_scale, bases)
    shared = [judge.shared(base) for base in range(bases.count)]
    best = np.argmin([loss.sum(axis=0) for _, loss in shared], axis=0)
    penalties = tuple(penalty for penalty, _ in shared)
    own = np.stack([judge.own(base, penalties[base], best == base) for base in range(bases.count)])
    return _pick(judge, best, own.min(axis=0), penalties)


def make_folds(learned: Learned) -> list[Fold]:
    """Return one fold per training block with rows, and one for the judging rows."""
    rows = learned.sums.rows
    filled = [k for k in range(learned.train_blocks) if rows[k].sum() > 0]
    folds = []
    if len(filled) > 1:
        # Margin rows see into the block that is left out, so they are left out as well.
        rest = [[k for k in filled if k != out] for out in filled]
        folds = [
            Fold(learned.sums.select(kept), out) for kept, out in zip(rest, filled, strict=True)
        ]
    if rows[learned.judging].sum() > 0:
        folds.append(Fold(training_sums(learned), learned.judging))
    return folds


def training_sums(learned: Learned) -> Sums:
    """Return the sums over all training rows."""
    return learned.sums.select([*range(learned.train_blocks), learned.margin])


def solve(train: Sums, tag_scale: FloatArray, choice: Choice, bases: Bases) -> NDArray[np.float32]:
    """Return the readout weights (M, F, H) by `choice`, solved from `train`."""
    tags, features = train.zz.shape[1:3]
    weights = np.zeros((tags, features, bases.horizon), dtype=np.float32)
    for base in np.unique(choice.base[~np.isnan(choice.own)]):
        own_sums = _of_base(train, bases, int(base))
        pooled = Normal.pooled(own_sums, tag_scale)
        shared = pooled.solve(choice.shared[base])
        for tag in np.flatnonzero((choice.base == base) & ~np.isnan(choice.own)):
            own = pooled.of_tag(own_sums, int(tag), tag_scale, shared)
            weights[tag] = shared + own.solve(choice.own[tag])
    return weights


@dataclass(frozen=True)
class _Judge:
    """Squared errors on the left-out blocks; every result has the folds first."""

    learned: Learned
    folds: list[Fold]
    tag_scale: FloatArray
    bases: Bases

    def horizons(self, tag: int) -> float:
        """Return how many horizons fit side by side into the judged rows of a tag."""
        rows = sum(self.learned.sums.rows[fold.judge, tag] for fold in self.folds)
        return max(float(rows) / self.bases.horizon, 1e-3)

    def plain(self) -> FloatArray:
        """Return the error (folds, bases, M) of each base alone."""
        yy = np.stack([self.learned.sums.yy[fold.judge] for fold in self.folds])
        return yy.sum(axis=3).transpose(0, 2, 1)

    def shared(self, base: int) -> tuple[float, FloatArray]:
        """Return the shared penalty that is best over all tags, and its error (folds, M)."""
        judged = _of_base(self.learned.sums, self.bases, base)
        loss = np.zeros((len(SHARED_PENALTIES), len(self.folds), len(self.tag_scale)))
        for f, fold in enumerate(self.folds):
            pooled = Normal.pooled(_of_base(fold.train, self.bases, base), self.tag_scale)
            for i, penalty in enumerate(SHARED_PENALTIES):
                weights = pooled.solve(penalty)
                for tag in range(len(self.tag_scale)):
                    loss[i, f, tag] = judged.squared_error(fold.judge, tag, weights).sum()
        best = int(np.argmin((loss / self.tag_scale**2).sum(axis=(1, 2))))
        return SHARED_PENALTIES[best], loss[best]

    def own(self, base: int, penalty: float, mine: NDArray[np.bool_]) -> FloatArray:
        """Return the error (folds, M, own penalties) of the tags that are `mine`, else infinity."""
        judged = _of_base(self.learned.sums, self.bases, base)
        loss = np.full((len(self.folds), len(mine), len(OWN_PENALTIES)), np.inf)
        for f, fold in enumerate(self.folds if mine.any() else ()):
            train = _of_base(fold.train, self.bases, base)
            pooled = Normal.pooled(train, self.tag_scale)
            shared = pooled.solve(penalty)
            for tag in np.flatnonzero(mine):
                own = pooled.of_tag(train, int(tag), self.tag_scale, shared)
                for i, own_penalty in enumerate(OWN_PENALTIES):
                    weights = shared + own.solve(own_penalty)
                    loss[f, tag, i] = judged.squared_error(fold.judge, int(tag), weights).sum()
        return loss


def _of_base(sums: Sums, bases: Bases, base: int) -> Sums:
    """Return the sums whose targets are what a base leaves."""
    products = bases.products(base, sums.zz, sums.zy)
    return Sums(sums.zz, products, sums.yy[:, :, base], sums.rows)


def _pick(judge: _Judge, best: IntArray, losses: FloatArray, shared: tuple[float, ...]) -> Choice:
    """Pick per tag: the last reading, unless another base is surely better; that base alone,
    unless a readout is surely better. `losses` (folds, M, own penalties)."""
    plain, tags = judge.plain(), len(best)
    base, own = np.full(tags, LAST, dtype=np.int64), np.full(tags, np.nan)
    for tag in range(tags):
        rival = int(np.argmin(plain[:, :, tag].sum(axis=0)))
        # A season was asked for or found, so it needs no more evidence than this.
        horizons = np.inf if rival >= SEASON else judge.horizons(tag)
        if surely_less(plain[:, rival, tag], plain[:, LAST, tag], horizons):
            base[tag] = rival
        penalty = int(np.argmin(losses[:, tag].sum(axis=0)))
        if surely_less(losses[:, tag, penalty], plain[:, base[tag], tag], judge.horizons(tag)):
            base[tag], own[tag] = best[tag], OWN_PENALTIES[penalty]
    return Choice(shared, base, own)


def surely_less(
    error: FloatArray, other: FloatArray, horizons: float, least: float = LEAST_GAIN
) -> bool:
    """Say whether `error` (folds,) is less than `other` by more than chance explains.

    Forecasts from neighbouring rows share most of what they are judged by; `horizons` is how many
    there are that do not. Of a few, the standard error over the folds tells too little.
    """
    gain = other - error
    if len(gain) < 2:
        return bool(gain.sum() > 0.05 * other.sum())
    doubt = gain.std(ddof=1) / np.sqrt(len(gain)) * (1.0 + FEW_HORIZONS / horizons)
    return bool(gain.mean() > max(doubt, least * other.mean()))
