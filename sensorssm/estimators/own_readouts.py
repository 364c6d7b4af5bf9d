"""Readouts of single assets: the shared one, bent as far as an asset's own readings ask for.

What the shared readout leaves of an asset's targets is regressed on the asset's own features, by a
ridge: as if it had been right on a number of the asset's rows, the strength. So an asset with few
rows stays near what all assets say, and one with many goes its own way. One strength is chosen for
the fleet, on blocks that were held back; an asset keeps a readout of its own only where those
blocks surely gain, and else has the shared one to the last bit.

References
----------
Evgeniou and Pontil 2004, Regularized multi-task learning, KDD (one model for all tasks, and what
each adds to it, both shrunk).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.attempt import Attempt, judged_anew
from sensorssm.estimators.bending import OwnReadout
from sensorssm.estimators.learning import in_threads, learn
from sensorssm.estimators.leftover import STRENGTHS, left_of
from sensorssm.estimators.selection import (
    ENOUGH_STEPS,
    RETURNING,
    make_folds,
    surely_less,
    training_sums,
)
from sensorssm.models.linear import LinearForecast
from sensorssm.models.readout import Sums

FloatArray = NDArray[np.float64]

#: Numbers held for own readouts at most, 800 MB; in larger fleets those that gain least share.
MOST_FLOATS = 100_000_000


def with_own_readouts(attempt: Attempt) -> Attempt:
    """Return the attempt with the readouts that assets keep for themselves, judged anew with them.

    It comes back as it was where there is one asset, or none keeps any.
    """
    series = attempt.series
    if len(series) < 2 or not attempt.linears:
        return attempt
    threads = attempt.lesson.threads
    trials = in_threads(lambda asset: _Trial.of(attempt, asset), range(len(series)), threads)
    strength = int(np.argmin(np.mean([trial.errors.sum(axis=1) for trial in trials], axis=0)[:-1]))
    kept = [asset for asset, trial in enumerate(trials) if trial.believes(strength, attempt)]
    most = MOST_FLOATS // sum(part.size for part in vars(attempt.sums).values())
    kept = sorted(sorted(kept, key=lambda asset: -trials[asset].gain(strength))[:most])

    def read(asset: int) -> OwnReadout:
        return _own(attempt, asset, STRENGTHS[strength], trials[asset].gain(strength))

    own = in_threads(read, kept, threads)
    return judged_anew(replace(attempt, own=dict(zip(kept, own, strict=True))), kept)


def bent(
    linear: LinearForecast, sums: Sums, strength: float, tag_scale: FloatArray
) -> LinearForecast:
    """Return `linear`, bent towards one asset's `sums`, of a single block, over its horizon."""
    weights = linear.weights.copy()
    for tag in range(len(weights)):
        weights[tag] += left_of(linear, sums, 0, tag, tag_scale).solve(strength)
    return replace(linear, weights=weights)


@dataclass(frozen=True)
class _Trial:
    """How one asset fared on blocks that were held back from it.

    Attributes
    ----------
    errors : (S + 1, folds) squared errors by each of `STRENGTHS`, then by the shared readout, which
        erred 1 in all; tags count alike
    horizons : that fit side by side into the judged rows
    """

    errors: FloatArray
    horizons: float

    @classmethod
    def of(cls, attempt: Attempt, asset: int) -> _Trial:
        learned, linears = learn(attempt.lesson, [attempt.series[asset]]), attempt.linears_of(asset)
        folds = [fold for fold in make_folds(learned) if fold.judge in linears]
        tags, horizon = len(attempt.scale), attempt.lesson.horizon
        every = max(1, horizon // ENOUGH_STEPS)
        steps = slice(every // 2, None, every)
        errors = np.zeros((len(STRENGTHS) + 1, len(folds), tags))
        for f, fold in enumerate(folds):
            linear = linears[fold.judge]
            for tag in range(tags):
                taught = left_of(linear, fold.train, 0, tag, attempt.scale)
                judge = left_of(linear, learned.sums, fold.judge, tag, attempt.scale)
                for s, strength in enumerate(STRENGTHS):
                    errors[s, f, tag] = judge.squared_error(taught.solve(strength, steps), steps)
                errors[-1, f, tag] = judge.yy[steps].sum()
        usual = errors[-1].sum(axis=0)
        told = usual > 0
        shares = errors[:, :, told] / usual[told]
        rows = sum(float(learned.sums.rows[fold.judge].mean()) for fold in folds)
        return cls(shares.sum(axis=2) / max(told.sum(), 1), max(rows / horizon, 1e-3))

    def gain(self, strength: int) -> float:
        """Return the share of the shared readout's error that this strength took off."""
        return 1.0 - float(self.errors[strength].sum() / self.errors[-1].sum())

    def believes(self, strength: int, attempt: Attempt) -> bool:
        """Say whether a readout by this strength is surely better than the shared one."""
        own, shared = self.errors[strength], self.errors[-1]
        if shared.shape[0] < 2:
            return False
        # What has no season may be a random walk, which seems to return.
        chance = 0.0 if attempt.lesson.seasons else RETURNING / self.horizons
        return surely_less(own + chance * shared, shared, self.horizons)


def _own(attempt: Attempt, asset: int, strength: float, gain: float) -> OwnReadout:
    learned, before = learn(attempt.lesson, [attempt.series[asset]]), attempt.linears_of(asset)
    linears = {
        fold.judge: bent(before[fold.judge], fold.train, strength, attempt.scale)
        for fold in make_folds(learned)
        if fold.judge in before
    }
    sums = training_sums(learned)
    linear = bent(attempt.linear_of(asset), sums, strength, attempt.scale)
    return OwnReadout(linear, before | linears, sums, strength, gain)
