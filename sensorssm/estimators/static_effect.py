"""What numbers that never change (size, age, type) say of an asset's readout.

A number bends the shared readout in proportion: W0 + sum over k of s_k W_k. An asset of which
nothing was read is then forecast by the readout of assets of its kind. To the sums, a number that is
constant over an asset is one more block of features, s_k z, so the W_k are a ridge on what the
shared readout leaves, like an asset's own readout. They are kept only where they surely help assets
that were left out, whose readings had no part in W0 or in W_k.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.attempt import Attempt, judged_anew
from sensorssm.estimators.bending import FittedStatic, StaticEffect
from sensorssm.estimators.learning import Learned, asset_weights, learn
from sensorssm.estimators.leftover import STRENGTHS, left_of
from sensorssm.estimators.selection import (
    ENOUGH_STEPS,
    make_folds,
    solve,
    surely_less,
    training_sums,
)
from sensorssm.models.linear import LinearForecast
from sensorssm.models.readout import Sums

FloatArray = NDArray[np.float64]

#: Assets are left out in so many groups at most, one by one where there are fewer.
GROUPS = 10


def with_static(attempt: Attempt, numbers: FloatArray) -> Attempt:
    """Return the attempt with what the numbers (A, K) of its assets say, judged anew with it.

    It comes back as it was where that does not surely help assets that were left out.
    """
    if not attempt.linears:
        return attempt
    middle, spread = numbers.mean(axis=0), numbers.std(axis=0)
    spread = np.where(spread > 1e-12 * np.abs(numbers).max(axis=0), spread, 1.0)
    lesson = _Lesson.of(attempt, (numbers - middle) / spread)
    errors = np.array([*lesson.errors()])  # (groups, S)
    best = int(np.argmin(errors.mean(axis=0)))
    # Whatever is said of few assets fits by chance: their standard errors count for more.
    if not surely_less(errors[:, best], np.ones(len(errors)), len(numbers) / 2):
        return attempt
    limits = numbers.min(axis=0), numbers.max(axis=0)

    def effect(linear: LinearForecast, sums: Sums) -> StaticEffect:
        weights = lesson.weights(linear, sums, STRENGTHS[best]).astype(np.float32)
        gain = 1.0 - float(errors[:, best].mean())
        return StaticEffect(middle, spread, *limits, weights, gain)

    effects = {
        fold.judge: effect(attempt.linears[fold.judge], fold.train)
        for fold in make_folds(lesson.learned)
        if fold.judge in attempt.linears
    }
    whole = effect(attempt.linear, training_sums(lesson.learned))
    static = FittedStatic(whole, effects, numbers)
    return judged_anew(replace(attempt, static=static), range(len(numbers)))


@dataclass(frozen=True)
class _Lesson:
    """Sums whose features are z, then s_k z for each number: by block, and by group of assets."""

    attempt: Attempt
    learned: Learned
    groups: Sums

    @classmethod
    def of(cls, attempt: Attempt, inputs: FloatArray) -> _Lesson:
        """Read the assets again; `inputs` (A, K) are their numbers around 0."""
        groups: dict[int, Sums] = {}
        whole: Learned | None = None
        weights = asset_weights(attempt.series)
        for asset, one in enumerate(attempt.series):
            learned = learn(attempt.lesson, [one])
            learned.sums.weigh(weights[asset])
            wide = learned.sums.widened(np.r_[1.0, inputs[asset]])
            if whole is None:
                whole = replace(learned, sums=wide)
            else:
                whole.sums.join(wide)
            own = training_sums(replace(learned, sums=wide))
            group = asset % min(len(inputs), GROUPS)
            if group in groups:
                groups[group].join(own)
            else:
                groups[group] = own
        assert whole is not None
        return cls(attempt, whole, Sums.stacked([*groups.values()]))

    def errors(self) -> Iterator[FloatArray]:
        """Yield for each group the errors (S,) by each of `STRENGTHS` over those of the shared readout.

        Both have not seen the group. Tags count alike.
        """
        attempt, count = self.attempt, len(self.groups.rows)
        features, horizon = attempt.linear.weights.shape[1:]
        every = max(1, horizon // ENOUGH_STEPS)
        steps = slice(every // 2, None, every)
        for group in range(count):
            rest = self.groups.select([other for other in range(count) if other != group])
            shared = solve(
                rest.first(features), attempt.scale, attempt.choice, attempt.lesson.bases
            )
            linear = replace(attempt.linear, weights=shared)
            ratios = []
            for tag in range(len(shared)):
                taught = left_of(linear, rest, 0, tag, attempt.scale).beyond(features)
                judge = left_of(linear, self.groups, group, tag, attempt.scale).beyond(features)
                usual = judge.yy[steps].sum()
                if usual > 0:
                    tried = [
                        judge.squared_error(taught.solve(strength, steps), steps)
                        for strength in STRENGTHS
                    ]
                    ratios.append(np.array(tried) / usual)
            yield np.mean(ratios, axis=0) if ratios else np.ones(len(STRENGTHS))

    def weights(self, linear: LinearForecast, sums: Sums, strength: float) -> FloatArray:
        """Return the weights (K, M, F, H) of what `linear` leaves in a single block of sums."""
        tags, features, horizon = linear.weights.shape
        parts = [
            left_of(linear, sums, 0, tag, self.attempt.scale).beyond(features).solve(strength)
            for tag in range(tags)
        ]
        return np.stack(parts).reshape(tags, -1, features, horizon).swapaxes(0, 1)
