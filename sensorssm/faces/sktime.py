"""SSMForecaster as sktime knows forecasters: horizons of any kind, intervals, panels, updates."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sktime.forecasting.base import BaseForecaster, ForecastingHorizon

from sensorssm.errors import ConfigError
from sensorssm.estimators import forecaster as own

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class SSMForecaster(BaseForecaster):
    """`sensorssm.SSMForecaster` behind sktime's interface.

    Series are univariate or multivariate, may have holes, and are read one row a step. Exogenous
    `X` are inputs whose future is known: in `predict` their rows of the steps ahead are used as far
    as they are given. Panels and hierarchies get a model each, by sktime.

    Parameters
    ----------
    horizon : the farthest step that will be asked for
    season, memory, lags : see `sensorssm.SSMForecaster`

    Attributes
    ----------
    forecaster_ : the fitted `sensorssm.SSMForecaster`, for `explain_forecast`, `impute` and `save`

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from sensorssm.faces.sktime import SSMForecaster
    >>> forecaster = SSMForecaster(horizon=12, season=12).fit(load_airline())
    >>> len(forecaster.predict_interval(fh=[1, 2, 3], coverage=0.8))
    3
    """

    _tags: ClassVar = {
        "authors": "sensorssm",
        "maintainers": "sensorssm",
        "python_dependencies": "sensorssm",
        "y_inner_mtype": "pd.DataFrame",
        "X_inner_mtype": "pd.DataFrame",
        "capability:multivariate": True,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:missing_values": True,
        "capability:insample": True,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:update": True,
        "requires-fh-in-fit": False,
    }

    def __init__(
        self, horizon: int = 96, season: Any = "auto", memory: str = "gated", lags: int = 8
    ) -> None:
        self.horizon = horizon
        self.season = season
        self.memory = memory
        self.lags = lags
        with (
            warnings.catch_warnings()
        ):  # that sktime will stop remembering rows changes nothing here
            warnings.filterwarnings("ignore", ".*remember_data", FutureWarning)
            super().__init__()

    def _fit(self, y: Any, X: Any, fh: Any) -> SSMForecaster:
        self.forecaster_ = own.SSMForecaster(
            horizon=self.horizon, season=self.season, memory=self.memory, lags=self.lags
        )
        self.forecaster_.fit(_values(y), future=_values(X))
        # Forecasts within the rows seen need them again; sktime is to stop remembering them (1.3).
        self._rows, self._inputs = y, X
        return self

    def _update(self, y: Any, X: Any = None, update_params: bool = True) -> SSMForecaster:
        later = y[y.index > self._rows.index[-1]]
        if len(later):
            inputs = self._inputs_of(later.index, X)
            read = self.forecaster_.partial_fit if update_params else self.forecaster_.update
            read(_values(later), future=_values(inputs))
            self._rows = later.combine_first(self._rows)
            self._inputs = None if inputs is None else inputs.combine_first(self._inputs)
        return self

    def _inputs_of(self, index: Any, X: Any) -> Any:
        """Return the known inputs of rows, NaN where nothing is told; None for a fit without."""
        if self._inputs is None:
            return X
        return (self._inputs.iloc[:0] if X is None else X).reindex(index)

    def _predict(self, fh: Any, X: Any) -> Any:
        steps = np.asarray(fh.to_relative(self.cutoff), dtype=np.int64)
        told = np.empty((len(steps), self._rows.shape[1]))
        if (steps > 0).any():
            told[steps > 0] = self._ahead(X, None, steps)[steps[steps > 0] - 1]
        if (steps <= 0).any():
            if steps.min() <= -len(self._rows):
                raise ConfigError(f"fh has step {steps.min()}, before the first of the rows seen")
            seen = self.forecaster_.predict(_values(self._rows), future=_values(self._inputs))
            told[steps <= 0] = seen[steps[steps <= 0] - 1]
        return type(self._rows)(told, fh.to_absolute_index(self.cutoff), self._rows.columns)

    def _predict_quantiles(self, fh: Any, X: Any, alpha: list[float]) -> Any:
        steps = np.asarray(fh.to_relative(self.cutoff), dtype=np.int64)
        levels, back = np.unique(np.asarray(alpha, dtype=np.float64), return_inverse=True)
        fan = self._ahead(X, levels, steps)[steps - 1][..., back]
        columns = {
            (name, level): fan[:, i, q]
            for i, name in enumerate(self._get_varnames())
            for q, level in enumerate(alpha)
        }
        return type(self._rows)(columns, index=fh.to_absolute_index(self.cutoff))

    def _ahead(self, X: Any, levels: FloatArray | None, steps: IntArray) -> FloatArray:
        """Return the forecast of all steps ahead, by the rows of `X` that lie there.

        Raises
        ------
        ConfigError : one of `steps` lies beyond the fitted horizon
        """
        if steps.max() > self.horizon:
            raise ConfigError(
                f"fh has step {steps.max()}, beyond horizon={self.horizon}; fit with a longer one"
            )
        if X is not None:
            fh = ForecastingHorizon(np.arange(1, self.horizon + 1), is_relative=True)
            X = X.reindex(fh.to_absolute_index(self.cutoff))
        return self.forecaster_.forecast(quantiles=levels, future=_values(X))

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Return settings for sktime's own checks."""
        return [{"horizon": 10, "season": None}, {"horizon": 12, "season": 4, "lags": 2}]


def _values(table: Any) -> FloatArray | None:
    return None if table is None else table.to_numpy(dtype=np.float64)
