"""What a fitted forecaster says of itself: what each of its parts gained, and what it listens to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sensorssm.estimators.model_forecaster import ModelForecaster
from sensorssm.estimators.selective_fitting import deltas_along

FloatArray = NDArray[np.float64]


class Inspecting(ModelForecaster):
    """Gives a forecaster the gains of its parts, `listening` and `deltas`."""

    @property
    def own_gain_(self) -> dict[str, float]:
        """Return each asset's share of the held-back squared error that its own readout took off.

        0 where it has none, as the shared readout was not surely worse.
        """
        check_is_fitted(self)
        return {asset: self._own.gain.get(asset, 0.0) for asset in self._states}

    @property
    def static_gain_(self) -> float:
        """Return the share of the squared error of left-out assets that `static` took off.

        0 where it was not kept or not given.
        """
        check_is_fitted(self)
        return 0.0 if self._own.effect is None else self._own.effect.gain

    @property
    def future_gain_(self) -> dict[str, float]:
        """Return each tag's share of the held-back squared error that known inputs took off.

        0 where they were not kept; all tags without any.
        """
        check_is_fitted(self)
        gain = np.zeros(len(self.tags_)) if self._known is None else self._known.effect.gain
        return dict(zip(self.tags_, gain.tolist(), strict=True))

    @property
    def across_gain_(self) -> float:
        """Return the share of the held-back absolute error that a readout across tags took off."""
        check_is_fitted(self)
        mixing = self._model.correction and self._model.correction.mixing
        return 0.0 if mixing is None else float(mixing.gain[0])

    @property
    def selective_gain_(self) -> float:
        """Return the share of the held-back loss that the selective part took off; 0 without it."""
        check_is_fitted(self)
        selective = self._model.correction and self._model.correction.selective
        return 0.0 if selective is None else float(selective.gain_)

    def listening(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return how far the memory takes each reading in, (n, M), from 0 to 1.

        1 is in whole, 0 is missing; in between the gate doubts a reading that lies far from what
        was forecast for it, until it has stayed there for a few rows. Nothing looks ahead.
        """
        records = self._records(X, times, groups)
        linear = self._model.linear
        return np.concatenate([linear.trust(own.values, own.elapsed) for own in records])

    def deltas(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return delta, the selective model's step size, at each row and channel: (n, C), positive.

        A channel with a large delta lets the row in and forgets what was before; with a small one
        it lets the row pass. C is 0 where no selective model was kept.
        """
        records, correction = self._records(X, times, groups), self._model.correction
        if correction is None:
            return np.empty((sum(len(one.values) for one in records), 0))
        parts = [
            deltas_along(correction, self._model_of(one.asset).linear, one.values, one.elapsed)
            for one in records
        ]
        return np.concatenate(parts)
