"""One attempt at a readout: a pass over the readings, its choices, and how it did where unseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.bending import FittedStatic, OwnReadout
from sensorssm.estimators.learning import Lesson, Series, Tail, learn
from sensorssm.estimators.selection import (
    Choice,
    choose,
    make_folds,
    solve,
    surely_less,
    training_sums,
)
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features
from sensorssm.models.readout import Sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FARTHEST = 5.0


@dataclass(frozen=True)
class Attempt:
    """What came of a lesson.

    Attributes
    ----------
    linear : the fitted forecast, over the lesson's horizon
    residual, told : (k, H, M) observed minus forecast at kept rows, by weights that had not seen
        them, and the forecast; the residual is NaN where either is unknown
    seen : the features (k,) of those rows, without their memory; block : (k,) which block each was
        held back in
    scale : (M,) each tag's standard deviation
    plans : per asset, the block (n,) of every row; linears : per block, a forecast that has not
        seen it
    kept : per asset, the kept rows; tails : per asset, the rows to learn from later
    sums : over all training rows
    series : what was learned from
    static : what numbers that never change say of the assets, or None
    own : by number, the assets that have a readout of their own
    """

    lesson: Lesson
    linear: LinearForecast
    choice: Choice
    residual: FloatArray
    told: FloatArray
    seen: Features
    block: IntArray
    scale: FloatArray
    plans: list[IntArray]
    linears: dict[int, LinearForecast]
    kept: list[IntArray]
    sums: Sums
    tails: list[Tail]
    series: Sequence[Series]
    static: FittedStatic | None = None
    own: dict[int, OwnReadout] = field(default_factory=dict)

    def linear_of(self, asset: int) -> LinearForecast:
        """Return the forecast of one asset, by number."""
        if asset in self.own:
            return self.own[asset].linear
        if self.static is None:
            return self.linear
        return self.static.effect.bend(self.linear, self.static.numbers[asset])

    def linears_of(self, asset: int) -> dict[int, LinearForecast]:
        """Return the forecasts of one asset that have not seen a block, per block."""
        if asset in self.own:
            return self.own[asset].linears
        if self.static is None:
            return self.linears
        effects, numbers = self.static.effects, self.static.numbers[asset]
        return self.linears | {
            block: effect.bend(self.linears[block], numbers) for block, effect in effects.items()
        }

    def or_better(self, other: Attempt) -> Attempt:
        """Return `other` where it is surely better on the held-back rows, else this one.

        Its absolute errors must surely be less, and its squared ones not more. A spike among the
        targets, which is nobody's fault, counts at most as `FARTHEST` standard deviations.
        """
        blocks = np.intersect1d(self._judged(), other._judged())
        horizons = max(len(self.block) / self.lesson.horizon, 1e-3)
        mine, others = self._errors(blocks), other._errors(blocks)
        better = surely_less(others[0], mine[0], horizons, least=0.001)
        return other if better and others[1].sum() <= mine[1].sum() else self

    @property
    def horizons(self) -> float:
        """Return how many horizons lie side by side in the kept rows."""
        rows = sum(float(np.ptp(rows)) for rows in self.kept if len(rows))
        return max(rows / self.lesson.horizon, 1e-3)

    def _judged(self) -> IntArray:
        """Return the blocks that hold a known residual."""
        return np.unique(self.block[np.isfinite(self.residual).any(axis=(1, 2))])

    def _errors(self, blocks: IntArray) -> FloatArray:
        """Return mean absolute and mean squared errors, (2, blocks), in standard deviations."""
        size = np.minimum(np.abs(self.residual) / self.scale, FARTHEST)
        parts = [size[self.block == block] for block in blocks]
        means = [[np.nanmean(part**power) for part in parts] for power in (1, 2)]
        return np.array(means, dtype=np.float64)


def attempt(lesson: Lesson, series: Sequence[Series], scale: FloatArray) -> Attempt:
    """Learn `series` by `lesson`."""
    learned = learn(lesson, series)
    choice = choose(learned, scale, lesson.bases)
    taught = training_sums(learned)
    linear = _linear(lesson, taught, scale, choice)
    linears = {
        fold.judge: linear
        if fold.judge == learned.judging
        else _linear(lesson, fold.train, scale, choice)
        for fold in make_folds(learned)
    }
    block, features, truth = learned.kept.joined()
    told = held_back(linears, block, features, lesson.horizon)
    if not np.isfinite(truth - told).any():  # too few rows to hold any back
        told = linear.forecast(features, lesson.horizon)
    return Attempt(
        lesson,
        linear,
        choice,
        truth - told,
        told,
        features._replace(z=features.z[:, :, :0]),
        block,
        scale,
        learned.plans,
        linears,
        learned.kept.rows,
        taught,
        learned.tails,
        series,
    )


def judged_anew(attempt: Attempt, assets: Iterable[int]) -> Attempt:
    """Return the attempt with the kept rows of some assets told by the readouts that they have."""
    told = attempt.told.copy()
    ends = np.cumsum([len(rows) for rows in attempt.kept])
    for asset in assets:
        one, kept = attempt.series[asset], attempt.kept[asset]
        rows = slice(int(ends[asset]) - len(kept), int(ends[asset]))
        memory, linear = attempt.lesson.memory, attempt.linear
        features = memory.advance(
            one.values, one.elapsed, memory.init_state(linear.start), rows=kept, gate=linear.gate
        )
        linears = attempt.linears_of(asset)
        told[rows] = held_back(linears, attempt.block[rows], features, linear.horizon)
    return replace(attempt, residual=attempt.residual + (attempt.told - told), told=told)


def since_reading(residual: FloatArray, waited: FloatArray) -> FloatArray:
    """Return residuals (k, H, M) with their steps counted from each tag's last reading, `waited`
    (k, M) steps before the row; NaN where a step comes before the row."""
    steps = np.arange(residual.shape[1])[:, None] - waited[:, None].astype(np.int64)
    moved = np.take_along_axis(residual, np.maximum(steps, 0), axis=1)
    return np.where(steps >= 0, moved, np.nan)


def _linear(lesson: Lesson, train: Sums, scale: FloatArray, choice: Choice) -> LinearForecast:
    weights = solve(train, scale, choice, lesson.bases)
    seasons = choice.seasonal(lesson.bases)
    return LinearForecast(
        lesson.memory, lesson.seasons, weights, seasons, lesson.start, lesson.gate
    )


def held_back(
    linears: dict[int, LinearForecast], block: IntArray, features: Features, horizon: int
) -> FloatArray:
    """Return forecasts (k, H, M) by weights that have not seen what comes, NaN without any."""
    told = np.full((len(block), horizon, features.level.shape[1]), np.nan)
    for judge, linear in linears.items():
        rows = np.flatnonzero(block == judge)
        told[rows] = linear.forecast(features.at(rows), horizon)
    return told
