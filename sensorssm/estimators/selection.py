"""Which base and which penalties each tag's readout takes, judged on blocks that were left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.learning import Learned
from sensorssm.models.readout import Normal, Sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SHARED_PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
OWN_PENALTIES = (np.inf, 1.0, 1e-1, 1e-2)
# A readout must beat the best plain base by this share of its squared error to be used at all.
LEAST_GAIN = 0.01


@dataclass(frozen=True)
class Fold:
    """Sums to solve from, and the block of sums to judge on."""

    train: Sums
    judge: int


@dataclass(frozen=True)
class Choice:
    """The settings of the readout: per base a shared penalty; per tag a base and its own penalty.

    `own` (M,) is NaN where a tag takes its plain base.
    """

    shared: tuple[float, ...]
    base: IntArray
    own: FloatArray


def choose(learned: Learned, tag_scale: FloatArray, bases: int) -> Choice:
    """Return the settings with the least squared error on the left-out blocks."""
    folds = make_folds(learned)
    tags = len(tag_scale)
    if not folds:
        return Choice((1.0,) * bases, np.ones(tags, dtype=np.int64), np.full(tags, np.nan))
    plain = _plain_loss(learned, folds, bases)
    shared = [_shared_penalty(learned, folds, tag_scale, base, bases) for base in range(bases)]
    best = np.argmin([loss for _, loss in shared], axis=0)
    penalties = tuple(penalty for penalty, _ in shared)
    own = np.stack(
        [_own_losses(learned, folds, tag_scale, b, bases, penalties[b], best) for b in range(bases)]
    ).min(axis=0)
    return _pick(plain, best, own, penalties)


def make_folds(learned: Learned) -> list[Fold]:
    """Return one fold per training block with rows, and one for the judging rows."""
    rows = learned.sums.rows
    filled = [k for k in range(learned.train_blocks) if rows[k].sum() > 0]
    folds = []
    if len(filled) > 1:
        folds = [Fold(training_sums(learned, without=k), k) for k in filled]
    if rows[learned.judging].sum() > 0:
        folds.append(Fold(training_sums(learned), learned.judging))
    return folds


def solve(train: Sums, tag_scale: FloatArray, choice: Choice, horizon: int) -> NDArray[np.float32]:
    """Return the readout weights (M, F, H) by `choice`, solved from `train`."""
    tags, features = train.zz.shape[1:3]
    weights = np.zeros((tags, features, horizon), dtype=np.float32)
    for base in np.unique(choice.base):
        columns = _columns(train, int(base), horizon)
        pooled = Normal.pooled(columns, tag_scale)
        shared = pooled.solve(choice.shared[base])
        for tag in np.flatnonzero((choice.base == base) & np.isfinite(np.nan_to_num(choice.own))):
            if np.isnan(choice.own[tag]):
                continue
            own = pooled.of_tag(columns, tag, tag_scale, shared)
            weights[tag] = shared + own.solve(choice.own[tag])
    return weights


def training_sums(learned: Learned, without: int | None = None) -> Sums:
    """Return the sums over training rows; without a block, its margin rows are left out too."""
    blocks = [k for k in range(learned.train_blocks) if k != without]
    if without is None:
        blocks.append(learned.margin)
    sums = learned.sums
    parts = (sums.zz, sums.zy, sums.yy, sums.rows)
    return Sums(*(part[blocks].sum(axis=0, keepdims=True) for part in parts))


def _columns(sums: Sums, base: int, horizon: int) -> Sums:
    part = slice(base * horizon, (base + 1) * horizon)
    return Sums(sums.zz, sums.zy[..., part], sums.yy[..., part], sums.rows)


def _horizon(sums: Sums, bases: int) -> int:
    return sums.yy.shape[2] // bases


def _plain_loss(learned: Learned, folds: list[Fold], bases: int) -> FloatArray:
    """Return the squared error of each plain base, (bases, M), over the judged blocks."""
    yy = sum(learned.sums.yy[fold.judge] for fold in folds)
    return np.asarray(yy).reshape(yy.shape[0], bases, -1).sum(axis=2).T


def _shared_penalty(
    learned: Learned, folds: list[Fold], tag_scale: FloatArray, base: int, bases: int
) -> tuple[float, FloatArray]:
    """Return the penalty that is best over all tags, and each tag's squared error (M,) with it."""
    horizon = _horizon(learned.sums, bases)
    judged = _columns(learned.sums, base, horizon)
    loss = np.zeros((len(SHARED_PENALTIES), len(tag_scale)))
    for fold in folds:
        pooled = Normal.pooled(_columns(fold.train, base, horizon), tag_scale)
        for i, penalty in enumerate(SHARED_PENALTIES):
            weights = pooled.solve(penalty)
            for tag in range(len(tag_scale)):
                loss[i, tag] += judged.squared_error(fold.judge, tag, weights).sum()
    best = int(np.argmin((loss / tag_scale**2).sum(axis=1)))
    return SHARED_PENALTIES[best], loss[best]


def _own_losses(
    learned: Learned,
    folds: list[Fold],
    tag_scale: FloatArray,
    base: int,
    bases: int,
    penalty: float,
    best: IntArray,
) -> FloatArray:
    """Return the squared error (M, own penalties) of the tags whose base this is, else infinity."""
    horizon = _horizon(learned.sums, bases)
    judged = _columns(learned.sums, base, horizon)
    mine = np.flatnonzero(best == base)
    loss = np.full((len(tag_scale), len(OWN_PENALTIES)), np.inf)
    loss[mine] = 0.0
    for fold in folds if len(mine) else ():
        train = _columns(fold.train, base, horizon)
        pooled = Normal.pooled(train, tag_scale)
        shared = pooled.solve(penalty)
        for tag in mine:
            own = pooled.of_tag(train, int(tag), tag_scale, shared)
            for i, penalty_own in enumerate(OWN_PENALTIES):
                weights = shared + own.solve(penalty_own)
                loss[tag, i] += judged.squared_error(fold.judge, int(tag), weights).sum()
    return loss


def _pick(
    plain: FloatArray, best: IntArray, losses: FloatArray, shared: tuple[float, ...]
) -> Choice:
    """Pick per tag; `plain` (bases, M), `best` (M,) bases, `losses` (M, own penalties)."""
    base, own = np.argmin(plain, axis=0), np.full(plain.shape[1], np.nan)
    for tag in range(len(base)):
        penalty = int(np.argmin(losses[tag]))
        if losses[tag, penalty] < (1 - LEAST_GAIN) * plain[base[tag], tag]:
            base[tag], own[tag] = best[tag], OWN_PENALTIES[penalty]
    return Choice(shared, base.astype(np.int64), own)
