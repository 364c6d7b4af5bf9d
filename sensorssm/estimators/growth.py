"""Learning on: later readings added to the sums that a readout is solved from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.attempt import Attempt
from sensorssm.estimators.learning import Tail, asset_weights, learn_on
from sensorssm.estimators.own_readouts import bent
from sensorssm.estimators.selection import solve
from sensorssm.models.linear import LinearForecast

FloatArray = NDArray[np.float64]
Weights = NDArray[np.float32]


class Growth:
    """The sums of a fit, and each asset's rows that have yet to see their horizon.

    The settings stay as they were chosen. For those, adding readings later gives the weights that
    all readings at once would have given.
    """

    def __init__(self, attempt: Attempt, assets: list[str]) -> None:
        self._lesson, self._choice = attempt.lesson, attempt.choice
        self._sums, self._scale = attempt.sums, attempt.scale
        self._tails = dict(zip(assets, attempt.tails, strict=True))
        self._weights = dict(zip(assets, asset_weights(attempt.series), strict=True))
        self._static, self._number = attempt.static, {name: i for i, name in enumerate(assets)}
        self._own = {assets[i]: (own.sums, own.strength) for i, own in attempt.own.items()}

    def read(self, asset: str, values: FloatArray, elapsed: FloatArray) -> None:
        """Take in rows (n, M) that follow what was read of `asset`; an unknown one is new."""
        tail = self._tails.get(asset)
        if tail is not None:
            values = np.concatenate([tail.values, values])
            elapsed = np.concatenate([tail.elapsed, elapsed])
        memory = self._lesson.memory.init_state(self._lesson.start) if tail is None else tail.memory
        new = self._sums.blank()
        self._tails[asset] = learn_on(self._lesson, Tail(memory, values, elapsed), new)
        if asset in self._own:
            self._own[asset][0].join(new)
        new.weigh(self._weights.get(asset, np.ones(len(self._scale))))
        self._sums.join(new)

    def improve(self, linear: LinearForecast) -> tuple[Weights, dict[str, Weights]]:
        """Return the weights that follow from everything read so far: of the shared readout, and of
        the assets that have their own.

        `linear` is the forecast until now. The weights are those of the lesson's horizon.
        """
        weights = solve(self._sums, self._scale, self._choice, self._lesson.bases)
        shared = replace(linear, weights=weights)
        own = {
            asset: bent(self._kind(asset, shared), sums, strength, self._scale).weights
            for asset, (sums, strength) in self._own.items()
        }
        return weights, own

    def _kind(self, asset: str, shared: LinearForecast) -> LinearForecast:
        """Return what `shared` says of an asset of the fit, by its numbers where they are kept."""
        if self._static is None:
            return shared
        return self._static.effect.bend(shared, self._static.numbers[self._number[asset]])
