"""What every model must beat: the last season, the last value, an exponential mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sensorssm.errors import ConfigError, ShapeError
from sensorssm.estimators.answers import empty_like, forecast_answer, predict_answer
from sensorssm.estimators.base import ModelFolder, WindowEstimator
from sensorssm.estimators.checks import check_origins, refuse_empty_tags
from sensorssm.estimators.stream import check_horizon
from sensorssm.estimators.targets import Targets
from sensorssm.frames import Window
from sensorssm.scoring.conformal import LEVELS, check_levels, fit_offsets, read_offsets

FloatArray = NDArray[np.float64]

# Rows that the quantiles of a baseline are taken from, evenly spread.
JUDGED_ROWS = 2000


class _Baseline(ModelFolder, WindowEstimator):
    """What the baselines share; a subclass says what it remembers and how that goes on."""

    horizon: int

    def _remember(self, values: FloatArray, state: FloatArray | None) -> FloatArray:
        """Return what is remembered after each row of (n, M) values, (n, K, M)."""
        raise NotImplementedError

    def _go_on(self, memory: FloatArray, horizon: int) -> FloatArray:
        """Return the forecasts (n, H, M) of what is remembered, (n, K, M)."""
        raise NotImplementedError

    def _check_settings(self) -> None:
        raise NotImplementedError

    def fit(self, X: Any, y: None = None, *, times: Any = None, groups: Any = None) -> Self:
        """Remember the end of `X`, and how far its own forecasts were off."""
        self._check_settings()
        window = self._window(X, times=times, groups=groups, reset=True, ensure_min_samples=2)
        refuse_empty_tags(window.values, self.tags_)
        self.period_s_ = window.period_s
        self.level_ = np.nanmean(window.values, axis=0)
        assets = _assets(window)
        memories = [self._remember(values, None) for values in assets]
        self._state = memories[-1][-1]
        self.offsets_ = fit_offsets(np.concatenate([*map(self._residuals, assets, memories)]))
        self._see(X, window)
        return self

    def predict(self, X: Any, *, times: Any = None, groups: Any = None) -> Any:
        """Return each row's forecast from the rows before it, (n, M), in the caller's kind."""
        check_is_fitted(self)
        parts = []
        for values in _assets(self._window(X, times=times, groups=groups)):
            ahead = self._go_on(self._remember(values, None)[:-1], 1)[:, 0]
            parts.append(np.concatenate([self.level_[None], ahead]))
        return predict_answer(X, np.concatenate(parts), self.tags_)

    def forecast(self, horizon: int | None = None, quantiles: ArrayLike | None = None) -> Any:
        """Return the steps after everything seen, (H, M[, Q]), or a frame as `X` was one."""
        check_is_fitted(self)
        values = self._answer(self._state[None], horizon, quantiles)[0]
        return forecast_answer(
            self._seen, values, self.tags_, quantiles, self._end_ns, self.period_s_
        )

    def forecast_from(
        self,
        X: Any,
        origins: ArrayLike,
        horizon: int | None = None,
        quantiles: ArrayLike | None = None,
        *,
        times: Any = None,
        groups: Any = None,
    ) -> FloatArray:
        """Return the forecasts after each of `origins`, rows of `X`: (n, H, M[, Q])."""
        check_is_fitted(self)
        window = self._window(X, times=times, groups=groups)
        rows = check_origins(origins, len(window.values))
        memory = np.concatenate([self._remember(values, None) for values in _assets(window)])
        return self._answer(memory[rows], horizon, quantiles)

    def readings(self, X: Any) -> FloatArray:
        """Return the fitted tags of a table as an array (n, M), time and asset taken off."""
        check_is_fitted(self)
        return self._window(X).values

    def update(self, X_new: Any, *, times: Any = None) -> Self:
        """Read rows of the fitted asset that follow what was seen."""
        check_is_fitted(self)
        window = self._window(X_new, times=times)
        self._state = self._remember(window.values, self._state)[-1]
        self._see(X_new, window)
        return self

    def score(self, X: Any, y: None = None, *, times: Any = None, groups: Any = None) -> float:
        """Return minus the mean absolute one-step error of `predict`, in the tags' units."""
        check_is_fitted(self)
        values = self._window(X, times=times, groups=groups).values
        error = np.abs(values - self.predict(values, groups=groups))
        return -float(np.nanmean(error)) if np.isfinite(error).any() else 0.0

    def _see(self, X: Any, window: Window) -> None:
        self._seen = empty_like(X)
        self._end_ns = None if window.time is None else int(window.time[-1])

    def _residuals(self, values: FloatArray, memory: FloatArray) -> FloatArray:
        """Return observed minus forecast, (k, H, M), NaN past the end of the rows."""
        rows = np.unique(np.linspace(0, len(values) - 2, JUDGED_ROWS).astype(np.int64))
        truth = Targets.of(values, np.ones(len(values)))
        return truth.after_all(rows, self.horizon) - self._go_on(memory[rows], self.horizon)

    def _answer(
        self, memory: FloatArray, horizon: int | None, quantiles: ArrayLike | None
    ) -> FloatArray:
        horizon = check_horizon(horizon, self.offsets_.shape[1])
        point = self._go_on(memory, horizon)
        if quantiles is None:
            return point
        offsets = read_offsets(self.offsets_[:, :horizon], check_levels(quantiles))
        return point[..., None] + offsets

    def _to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        check_is_fitted(self)
        config = {
            "params": self.get_params(),
            "tags": list(map(str, getattr(self, "feature_names_in_", []))),
            "period_s": self.period_s_,
            "end_ns": self._end_ns,
        }
        return config, {"level": self.level_, "offsets": self.offsets_, "state": self._state}

    @classmethod
    def _from_parts(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self = cls(**config["params"])
        self.level_, self.offsets_ = arrays["level"], arrays["offsets"]
        self._state = arrays["state"]
        tags = len(self.level_)
        if self.offsets_.shape != (tags, self.horizon, len(LEVELS)) or self._state.shape[1] != tags:
            raise ShapeError(f"offsets {self.offsets_.shape} and state {self._state.shape}")
        self._recall(config, tags)
        self._end_ns, self._seen = config["end_ns"], None
        return self


class SeasonalNaive(_Baseline):
    """Forecast every tag by repeating its last season; `season=1` repeats the last value.

    Parameters
    ----------
    season, horizon : in steps
    """

    def __init__(self, *, season: int = 24, horizon: int = 96) -> None:
        self.season = season
        self.horizon = horizon

    def _check_settings(self) -> None:
        _check_steps(season=self.season, horizon=self.horizon)

    def _remember(self, values: FloatArray, state: FloatArray | None) -> FloatArray:
        start = np.repeat(self.level_[None], self.season, axis=0) if state is None else state
        held = np.concatenate([start, values])
        for row in range(self.season, len(held)):  # a missing reading repeats last season's
            held[row] = np.where(np.isnan(held[row]), held[row - self.season], held[row])
        windows = np.lib.stride_tricks.sliding_window_view(held[1:], self.season, axis=0)
        return windows.transpose(0, 2, 1)

    def _go_on(self, memory: FloatArray, horizon: int) -> FloatArray:
        return memory[:, np.arange(horizon) % self.season]


class EWMA(_Baseline):
    """Forecast every tag by the exponentially weighted mean of its readings.

    Parameters
    ----------
    span : steps after which a reading's weight has fallen to about an eighth, as in pandas
    horizon : in steps
    """

    def __init__(self, *, span: float = 24, horizon: int = 96) -> None:
        self.span = span
        self.horizon = horizon

    def _check_settings(self) -> None:
        _check_steps(horizon=self.horizon)
        if not self.span >= 1:
            raise ConfigError(f"span={self.span!r}, wanted steps of at least 1")

    def _remember(self, values: FloatArray, state: FloatArray | None) -> FloatArray:
        keep = 1.0 - 2.0 / (self.span + 1.0)
        # Two sums a tag, of readings and of weights: missing readings are left out of both.
        sums = np.zeros((2, values.shape[1])) if state is None else state[1:].copy()
        out = np.empty((len(values), 3, values.shape[1]))
        for row, x in enumerate(values):
            known = np.isfinite(x)
            sums *= keep
            sums[0] += np.where(known, x, 0.0)
            sums[1] += known
            safe = np.where(sums[1] > 0, sums[1], 1.0)
            out[row, 0] = np.where(sums[1] > 0, sums[0] / safe, self.level_)
            out[row, 1:] = sums
        return out

    def _go_on(self, memory: FloatArray, horizon: int) -> FloatArray:
        return np.repeat(memory[:, :1], horizon, axis=1)


def _assets(window: Window) -> list[FloatArray]:
    return np.split(window.values, window.starts[1:])


def _check_steps(**steps: Any) -> None:
    for name, value in steps.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{name}={value!r}, wanted a whole number of at least 1")
