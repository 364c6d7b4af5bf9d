"""What the peers of `SSMForecaster` share: its methods, around a fold of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from sensorssm.errors import ConfigError
from sensorssm.estimators.answers import empty_like, forecast_answer, predict_answer
from sensorssm.estimators.assets import AssetRows, assets_of, between_steps
from sensorssm.estimators.base import Arrays, ModelFolder, WindowEstimator
from sensorssm.estimators.checks import check_origins, refuse_empty_tags
from sensorssm.estimators.fold import (
    Fold,
    FoldStream,
    State,
    checked_state,
    read_on,
    tell,
    told_along,
)
from sensorssm.estimators.learning import Series
from sensorssm.estimators.stream import check_horizon
from sensorssm.frames import Window
from sensorssm.scoring.conformal import check_levels

FloatArray = NDArray[np.float64]

#: Share of each asset's rows, the last ones, that is held back where no `X_val` is given.
HELD_BACK = 0.2


class Peer(ModelFolder, WindowEstimator):
    """Everything but the model: a subclass says what is learned, and how it is put back together."""

    # Readings that follow X cannot be cut into folds along with it.
    __metadata_request__fit: ClassVar = {"X_val": UNUSED}

    horizon: int
    _fold: Fold
    _states: dict[str, State]
    _end_ns: dict[str, int]

    def _check_settings(self) -> None:
        """Raise `ConfigError` for a setting that is out of range."""
        raise NotImplementedError

    def _learn(self, series: Sequence[Series], *, alone: bool) -> Fold:
        """Return what is learned from every asset; `alone` when no `X_val` chooses settings."""
        raise NotImplementedError

    @classmethod
    def _fold_from(cls, config: Mapping[str, Any], arrays: Arrays) -> Fold:
        """Return the fold that `Fold.to_parts` took apart."""
        raise NotImplementedError

    def fit(
        self, X: Any, y: None = None, *, X_val: Any = None, times: Any = None, groups: Any = None
    ) -> Self:
        """Learn from `X`, rows in time order, one asset after the other; NaN is missing.

        `X_val` follows `X` in time, asset by asset, and only chooses and calibrates; without it the
        last fifth of each asset's rows does.

        Raises
        ------
        DataError : a tag without readings, infinite readings, times that do not increase
        ConfigError : a setting out of range
        """
        self._check_settings()
        window = self._window(X, times=times, groups=groups, reset=True, ensure_min_samples=2)
        self.period_s_ = window.period_s
        refuse_empty_tags(window.values, self.tags_)
        self.horizon_ = int(self.horizon)
        self._end_ns = {}
        series = self._series(window, X_val)
        self._fold = self._learn(list(series.values()), alone=X_val is None)
        self._states = {
            asset: read_on(self._fold, own.values, own.elapsed, self._fold.start())
            for asset, own in series.items()
        }
        self._seen = empty_like(X if X_val is None else X_val)
        return self

    def predict(self, X: Any, *, times: Any = None, groups: Any = None) -> Any:
        """Return each row's forecast from the rows before it, (n, M), in the caller's kind.

        An asset's first row is forecast by the mean of the training readings. Always finite.
        """
        check_is_fitted(self)
        window = self._window(X, times=times, groups=groups)
        parts = [self._predict_one(record) for record in assets_of(window)]
        return predict_answer(X, np.concatenate(parts), self.tags_)

    def forecast(
        self,
        horizon: int | None = None,
        quantiles: ArrayLike | None = None,
        *,
        asset: str | None = None,
    ) -> Any:
        """Return the steps after everything seen, (H, M[, Q]), or a frame as `X` was one.

        With several assets, `asset` names one.
        """
        check_is_fitted(self)
        name = self._asset(asset)
        values = tell(self._fold, self._fold.look(self._states[name]), horizon, quantiles)[0]
        return forecast_answer(
            self._seen, values, self.tags_, quantiles, self._end_ns.get(name), self.period_s_
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
        """Return forecasts from many origins in one pass, (n, H, M), with quantiles (n, H, M, Q).

        An origin is the number of the last row of `X` that its forecast may use.

        Raises
        ------
        ShapeError : an origin that is not a row of `X`
        """
        check_is_fitted(self)
        window = self._window(X, times=times, groups=groups)
        rows = check_origins(origins, len(window.values))
        steps = check_horizon(horizon, self._fold.horizon)
        levels = None if quantiles is None else check_levels(quantiles)
        unique, back = np.unique(rows, return_inverse=True)
        parts, at = [], 0
        for one in assets_of(window):
            inside = unique[(unique >= at) & (unique < at + len(one.values))] - at
            at += len(one.values)
            if len(inside):
                parts += told_along(self._fold, one.values, one.elapsed, inside, steps, levels)
        return np.concatenate(parts)[back]

    def readings(self, X: Any) -> FloatArray:
        """Return the fitted tags of a table as an array (n, M), time and asset taken off."""
        check_is_fitted(self)
        return self._window(X).values

    def update(self, X_new: Any, *, times: Any = None, groups: Any = None) -> Self:
        """Read rows that follow what was seen; what was learned stays, the state moves on."""
        check_is_fitted(self)
        for record in assets_of(self._window(X_new, times=times, groups=groups)):
            later = record.following(self._end_ns.get(record.asset), self.period_s_)
            state = self._states.get(record.asset) or self._fold.start()
            self._states[record.asset] = read_on(self._fold, later.values, later.elapsed, state)
            self._note_end(record)
        self._seen = empty_like(X_new)
        return self

    def stream(self, asset: str | None = None) -> FoldStream:
        """Return a stream of one asset: from nothing, or from where `asset` stands."""
        check_is_fitted(self)
        return FoldStream(self._fold, None if asset is None else self._states[self._asset(asset)])

    def score(self, X: Any, y: None = None, *, times: Any = None, groups: Any = None) -> float:
        """Return minus the mean absolute one-step error of `predict`, in the tags' units."""
        check_is_fitted(self)
        window = self._window(X, times=times, groups=groups)
        parts = [self._predict_one(record) for record in assets_of(window)]
        error = np.abs(window.values - np.concatenate(parts))
        return -float(np.nanmean(error)) if np.isfinite(error).any() else 0.0

    def _series(self, window: Window, X_val: Any) -> dict[str, Series]:
        """Return each asset's readings, and from where on they only judge; note where they end."""
        later = {} if X_val is None else {r.asset: r for r in assets_of(self._window(X_val))}
        series = {}
        for record in assets_of(window):
            values, elapsed = record.values, record.elapsed
            rows = len(values)
            self._note_end(record)
            if record.asset in later:
                after = later[record.asset].following(record.end_ns, self.period_s_)
                values = np.concatenate([values, after.values])
                elapsed = np.concatenate([elapsed, after.elapsed])
                self._note_end(after)
            elif X_val is None:
                rows -= int(HELD_BACK * rows)
            series[record.asset] = Series(values, elapsed, rows)
        return series

    def _note_end(self, record: AssetRows) -> None:
        if record.end_ns is not None:
            self._end_ns[record.asset] = record.end_ns

    def _predict_one(self, record: AssetRows) -> FloatArray:
        """Return one-step forecasts (n, M) of one asset, read off between steps on uneven times."""
        steps = int(np.clip(np.ceil(record.elapsed.max()), 1, self._fold.horizon))
        rows, at = np.arange(len(record.values)), 0
        before = np.repeat(self._fold.centre[None, None], steps, axis=1)
        parts = []
        for told in told_along(self._fold, record.values, record.elapsed, rows, steps):
            paths = np.concatenate([before, told[:-1]])
            parts.append(between_steps(paths, record.elapsed[at : at + len(told)]))
            before, at = told[-1:], at + len(told)
        return np.concatenate(parts)

    def _asset(self, asset: str | None) -> str:
        if asset is None and len(self._states) == 1:
            return next(iter(self._states))
        if asset is None or asset not in self._states:
            raise ConfigError(f"asset={asset!r}, wanted one of {sorted(self._states)}")
        return asset

    def _to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        check_is_fitted(self)
        fold, arrays = self._fold.to_parts()
        config = {
            "params": self.get_params(),
            "fold": fold,
            "tags": list(map(str, getattr(self, "feature_names_in_", []))),
            "assets": list(self._states),
            "ends": self._end_ns,
            "period_s": self.period_s_,
        }
        parts = {f"fold.{name}": part for name, part in arrays.items()}
        for i, state in enumerate(self._states.values()):
            parts |= {f"state.{i}.{name}": _to_file(part) for name, part in state.items()}
        return config, parts

    @classmethod
    def _from_parts(cls, config: Mapping[str, Any], arrays: Arrays) -> Self:
        self = cls(**config["params"])
        self._check_settings()
        self._fold = cls._fold_from(config["fold"], _under("fold.", arrays))
        self.horizon_ = self._fold.horizon
        self._recall(config, len(self._fold.centre))
        self._seen = None
        self._end_ns = dict(config["ends"])
        self._states = {
            name: checked_state(self._fold, _from_file(_under(f"state.{i}.", arrays)))
            for i, name in enumerate(config["assets"])
        }
        return self


def check_steps(**steps: Any) -> None:
    """Raise `ConfigError` for a setting that is not a whole number of at least 1."""
    for name, value in steps.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ConfigError(f"{name}={value!r}, wanted a whole number of at least 1")


def _under(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _to_file(part: NDArray[Any]) -> NDArray[Any]:
    """Return a state's part as a model folder may hold it: the largest number for infinity."""
    return np.nan_to_num(part, posinf=np.finfo(part.dtype).max)


def _from_file(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {
        name: np.where(part == np.finfo(part.dtype).max, np.inf, part).astype(part.dtype)
        for name, part in arrays.items()
    }
