"""What a fitted forecaster is asked for: forecasts at any row and from now on, offline and online."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sensorssm.estimators.answers import empty_like, predict_answer
from sensorssm.estimators.model_forecaster import ModelForecaster
from sensorssm.estimators.readers import FutureStream
from sensorssm.estimators.rolling import mean_below_zero
from sensorssm.estimators.stream import ForecastStream

FloatArray = NDArray[np.float64]


class Telling(ModelForecaster):
    """Gives a forecaster its forecasts: in one pass, after everything seen, and as a stream."""

    def predict(self, X: Any, *, times: Any = None, groups: Any = None, future: Any = None) -> Any:
        """Return each row's forecast from the rows before it, (n, M), in the caller's kind.

        An asset's first row is forecast by the level of the training readings. Always finite.
        """
        records = self._beside(self._records(X, times, groups), future)
        return predict_answer(X, self._one_step(records), self.tags_)

    def forecast(
        self,
        horizon: int | None = None,
        quantiles: ArrayLike | None = None,
        *,
        asset: str | None = None,
        future: Any = None,
    ) -> Any:
        """Return the steps after everything seen in `fit` and `update`.

        An array (H, M), or with quantiles (H, M, Q); where a frame was seen last, a frame of that
        kind with one row per step: `time` where times are known, then a column for each tag, or
        `<tag>_q<level>` for each tag and level. With several assets, `asset` names one. `future`
        are the known inputs of the steps to come, as many as are known.
        """
        check_is_fitted(self)
        name = self._asset(asset)
        inputs = self._reader.inputs(future)
        ahead = None if inputs is None else inputs.after(self._end_ns.get(name))
        values = self._reader_of(name).ahead(self._states[name], ahead, horizon, quantiles)
        return self._answer(values, name, quantiles)

    def forecast_from(
        self,
        X: Any,
        origins: ArrayLike,
        horizon: int | None = None,
        quantiles: ArrayLike | None = None,
        *,
        times: Any = None,
        groups: Any = None,
        future: Any = None,
    ) -> FloatArray:
        """Return forecasts from many origins in one pass, (n, H, M), with quantiles (n, H, M, Q).

        An origin is the number of the last row of `X` that its forecast may use (negative ones
        count from the end), so its step 1 is the row after. `future` has a row
        of known inputs for each row of `X`, and may go on after the last.

        Raises
        ------
        ShapeError : an origin that is not a row of `X`
        """
        records = self._beside(self._records(X, times, groups), future)
        return self._from_origins(records, origins, horizon, quantiles)

    def update(
        self, X_new: Any, *, times: Any = None, groups: Any = None, future: Any = None
    ) -> Self:
        """Read rows that follow what was seen; the readout stays, the state moves on."""
        self._follow(self._beside(self._records(X_new, times, groups), future))
        self._seen = empty_like(X_new)
        return self

    def stream(
        self, asset: str | None = None, *, anew: bool = False
    ) -> ForecastStream | FutureStream:
        """Return a stream of one asset: from nothing, or from where `asset` stands.

        With `anew` it starts from nothing too, and forecasts by the readout of `asset`, which may
        be one that was never seen. After a fit with known inputs it takes `future` beside the
        readings.
        """
        check_is_fitted(self)
        old = asset is not None and not anew
        state: Any = self._states[self._asset(asset)].copy() if old else self._start()
        return self._reader_of(asset or "").stream(state)

    def score(
        self,
        X: Any,
        y: None = None,
        *,
        times: Any = None,
        groups: Any = None,
        future: Any = None,
    ) -> float:
        """Return minus the mean absolute one-step error of `predict`, over its usual size."""
        errors = self._errors(self._beside(self._records(X, times, groups), future))
        return mean_below_zero(errors / self._model.conformal.dispersion.usual_size)
