"""Which bases and readouts each tag's forecast averages, judged on blocks that were left out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.learning import Learned
from sensorssm.estimators.stacking import Candidate, best_shares, error_products, readouts
from sensorssm.models.linear import LAST, LEVEL, SEASON, Bases
from sensorssm.models.readout import Sums

FloatArray = NDArray[np.float64]

SHARED_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
OWN_PENALTIES = (np.inf, 1.0, 1e-1, 1e-2)
# Of shared weights on top of a last season; few, as they seldom tell what the others do not.
SEASONAL_PENALTIES = (1e-2, 1e-1)
# A gain below this share is not worth leaving what is plainer.
LEAST_GAIN = 0.01
# A longer horizon is judged by as many of its steps: neighbours err alike.
ENOUGH_STEPS = 96
# A level that held so far may be left for good, which no past can tell: it must win so much surer.
WANDERING = 2.0
# Over k horizons a random walk seems to return to its level, and saves about this share / k of the
# last reading's squared error: the square of Dickey and Fuller's t, 2.4 on average, is its multiple.
RETURNING = 2.0
# With this many independent horizons to judge by, the doubt is doubled.
FEW_HORIZONS = 4.0


@dataclass(frozen=True)
class Fold:
    """Sums to solve from, and the block of sums to judge on."""

    train: Sums
    judge: int


@dataclass(frozen=True)
class Choice:
    """The settings of the readout: each tag's forecast is an average of candidates.

    candidates : K bases, alone or with a readout on top
    shares : (M, K), none negative, each tag's sum 1
    """

    candidates: tuple[Candidate, ...]
    shares: FloatArray

    def seasonal(self, bases: Bases) -> NDArray[np.float32]:
        """Return the share (M, S) of each last season in the tags' bases."""
        origin = np.array([bases.origin(c.base) for c in self.candidates])
        places = range(1, len(bases.origins))
        seasons = [self.shares[:, origin == place].sum(axis=1) for place in places]
        return np.array(seasons, dtype=np.float32).reshape(-1, len(self.shares)).T.copy()


def choose(learned: Learned, tag_scale: FloatArray, bases: Bases) -> Choice:
    """Return the settings that do best on the left-out blocks, in doubt the plainest ones."""
    folds = make_folds(learned)
    if not folds:
        return Choice((Candidate(LAST),), np.ones((len(tag_scale), 1)))
    candidates = [Candidate(base) for base in range(bases.count)]
    candidates += [Candidate(LEVEL, *both) for both in product(SHARED_PENALTIES, OWN_PENALTIES)]
    seasons = range(SEASON, bases.count)
    candidates += [Candidate(*both) for both in product(seasons, SEASONAL_PENALTIES)]
    judge = _Judge(learned, folds, tag_scale, bases)
    return Choice(tuple(candidates), _shares(judge, judge.error_products(candidates)))


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
    used = np.flatnonzero(choice.shares.any(axis=0))
    parts = readouts(train, tag_scale, [choice.candidates[i] for i in used], bases)
    averaged = [
        np.tensordot(shares, weights, axes=1)
        for shares, weights in zip(choice.shares[:, used], parts, strict=True)
    ]
    return np.array(averaged, dtype=np.float32)


@dataclass(frozen=True)
class _Judge:
    """Errors on the left-out blocks; every result has the folds first."""

    learned: Learned
    folds: list[Fold]
    tag_scale: FloatArray
    bases: Bases

    def horizons(self, tag: int) -> float:
        """Return how many horizons fit side by side into the judged rows of a tag."""
        rows = sum(self.learned.sums.rows[fold.judge, tag] for fold in self.folds)
        return max(float(rows) / self.bases.horizon, 1e-3)

    def error_products(self, candidates: list[Candidate]) -> FloatArray:
        """Return the products (folds, M, K, K) of the candidates' errors, in tag scales."""
        return np.array([self._of_fold(fold, candidates) for fold in self.folds])

    def _of_fold(self, fold: Fold, candidates: list[Candidate]) -> list[FloatArray]:
        every = max(1, self.bases.horizon // ENOUGH_STEPS)
        steps = slice(every // 2, None, every)
        parts = readouts(fold.train, self.tag_scale, candidates, self.bases, steps)
        sums = self.learned.sums
        return [
            error_products(sums, fold.judge, tag, weights, candidates, self.bases, steps)
            / self.tag_scale[tag] ** 2
            for tag, weights in enumerate(parts)
        ]


def _shares(judge: _Judge, products: FloatArray) -> FloatArray:
    """Return each tag's shares (M, K): of the last reading, moved towards another base and then
    towards the best average as far as their gains are believed. The first candidates are bases.

    An average is judged by the shares that the other blocks ask for; but none speaks for the
    first, in which the memory still fills. What has no season may be a random walk.
    """
    best = _best_shares(products.sum(axis=0))
    rest = [np.delete(products, fold, axis=0).sum(axis=0) for fold in range(1, len(products))]
    unseen = [best, *(_best_shares(part) for part in rest)]
    told = np.einsum("fmk,fmkl,fml->mf", unseen, products, unseen)
    plain = _plain_shares(judge, products)
    error = np.einsum("mk,fmkl,ml->mf", plain, products, plain)
    walks = not judge.bases.seasons
    shares = np.empty_like(best)
    for tag in range(len(best)):
        horizons = judge.horizons(tag)
        chance = RETURNING / horizons if walks else 0.0
        far = belief(told[tag], error[tag], doubts_of(horizons), chance)
        shares[tag] = plain[tag] + far * (best[tag] - plain[tag])
    return shares


def _plain_shares(judge: _Judge, products: FloatArray) -> FloatArray:
    """Return each tag's shares (M, K) of the last reading and the base that errs least.

    A season was asked for or found, so it needs no more evidence than a standard error; of few
    horizons not even that tells, and it shares as the errors ask for.
    """
    total = products.sum(axis=0)
    alone = np.einsum("fmkk->mkf", products)[:, : judge.bases.count]
    plain = np.zeros(total.shape[:2])
    for tag, errors in enumerate(alone):
        rival, horizons = int(np.argmin(errors.sum(axis=1))), judge.horizons(tag)
        if rival >= SEASON and horizons < FEW_HORIZONS:
            both = np.ix_([LAST, rival], [LAST, rival])
            leap = best_shares(total[tag][both] + total.mean(axis=0)[both])[1]
        else:
            sure = rival >= SEASON
            doubts = 1.0 if sure else WANDERING * doubts_of(horizons)
            chance = 0.0 if sure else RETURNING / horizons
            leap = belief(errors[rival], errors[LAST], doubts, chance)
        plain[tag, LAST] = 1.0 - leap
        plain[tag, rival] += leap
    return plain


def _best_shares(products: FloatArray) -> FloatArray:
    """Return the best shares (M, K); all tags together tell as much as a tag's own readings do."""
    return np.array([best_shares(own + products.mean(axis=0)) for own in products])


def belief(error: FloatArray, other: FloatArray, doubts: float, chance: float = 0.0) -> float:
    """Return how far to go from what errs by `other` (folds,) to what errs by `error`, 0 to 1.

    It is the whole way where the mean gain exceeds its standard error `doubts` times, and the share
    `chance` of what is lost on top. Less is worth a part of it: most of a gain lies in the first
    half of the way, and most of a loss in the second.
    """
    gain = other - error
    if len(gain) < 2:
        return float(gain.sum() > 0.05 * other.sum())
    doubt = doubts * _standard_error(gain) + chance * other.mean()
    mean = max(gain.mean(), 0.0)
    return float(min(mean / doubt, 1.0) ** 4) if doubt > 0 else float(mean > 0)


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
    return bool(
        gain.mean() > max(doubts_of(horizons) * _standard_error(gain), least * other.mean())
    )


def doubts_of(horizons: float) -> float:
    """Return how many standard errors a gain must exceed that so many horizons tell."""
    return 1.0 + FEW_HORIZONS / horizons


def _standard_error(gain: FloatArray) -> float:
    return float(gain.std(ddof=1)) / np.sqrt(len(gain))
