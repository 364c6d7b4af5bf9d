"""What the peers of `SSMForecaster` share: its methods, around a fold of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from sensorssm.estimators.answers import empty_like, predict_answer
from sensorssm.estimators.assets import AssetRows
from sensorssm.estimators.checks import refuse_empty_tags
from sensorssm.estimators.fold import (
    Fold,
    FoldStream,
    State,
    checked_state,
    read_on,
    tell,
    told_along,
)
from sensorssm.estimators.folder import Arrays, under
from sensorssm.estimators.learning import Series
from sensorssm.estimators.rolling import RollingForecaster, mean_below_zero

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Share of each asset's rows, the last ones, that is held back where no `X_val` is given.
HELD_BACK = 0.2


class Peer(RollingForecaster):
    """Everything but the model: a subclass says what is learned, and how it is put back together."""

    # Readings that follow X cannot be cut into folds along with it.
    __metadata_request__fit: ClassVar = {"X_val": UNUSED}

    horizon: int
    _fold: Fold

    def _check_settings(self) -> None:
        """Raise `ConfigError` for a setting that is out of range."""
        raise NotImplementedError

    def _learn(self, series: Mapping[str, Series], *, alone: bool) -> Fold:
        """Return what is learned from every asset; `alone` when no `X_val` chooses settings."""
        raise NotImplementedError

    def _fold_of(self, asset: str) -> Fold:
        """Return the fold that reads an asset."""
        return self._fold

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
        series = self._series(window, X_val, held_back=HELD_BACK if X_val is None else 0.0)
        self._fold = self._learn(series, alone=X_val is None)
        self._states = {
            asset: self._read_on(AssetRows(asset, own.values, own.elapsed, None), self._start())
            for asset, own in series.items()
        }
        self._seen = empty_like(X if X_val is None else X_val)
        return self

    def predict(self, X: Any, *, times: Any = None, groups: Any = None) -> Any:
        """Return each row's forecast from the rows before it, (n, M), in the caller's kind.

        An asset's first row is forecast by the mean of the training readings. Always finite.
        """
        return predict_answer(X, self._one_step(self._records(X, times, groups)), self.tags_)

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
        fold = self._fold_of(name)
        seen = fold.look(self._states[name])
        return self._answer(tell(fold, seen, horizon, quantiles)[0], name, quantiles)

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
        return self._from_origins(self._records(X, times, groups), origins, horizon, quantiles)

    def update(self, X_new: Any, *, times: Any = None, groups: Any = None) -> Self:
        """Read rows that follow what was seen; what was learned stays, the state moves on."""
        self._follow(self._records(X_new, times, groups))
        self._seen = empty_like(X_new)
        return self

    def stream(self, asset: str | None = None) -> FoldStream:
        """Return a stream: of an asset not known yet, from nothing, or from where `asset` stands."""
        check_is_fitted(self)
        if asset is None:
            return FoldStream(self._fold)
        name = self._asset(asset)
        return FoldStream(self._fold_of(name), self._states[name])

    def score(self, X: Any, y: None = None, *, times: Any = None, groups: Any = None) -> float:
        """Return minus the mean absolute one-step error of `predict`, in the tags' units."""
        return mean_below_zero(self._errors(self._records(X, times, groups)))

    @property
    def _centre(self) -> FloatArray:
        return self._fold.centre

    def _start(self) -> State:
        return self._fold.start()

    def _read_on(self, record: AssetRows, state: State) -> State:
        return read_on(self._fold_of(record.asset), record.values, record.elapsed, state)

    def _along(
        self, record: AssetRows, rows: IntArray, steps: int, levels: FloatArray | None
    ) -> Iterator[FloatArray]:
        fold = self._fold_of(record.asset)
        return told_along(fold, record.values, record.elapsed, rows, steps, levels)

    def _to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        check_is_fitted(self)
        fold, arrays = self._fold.to_parts()
        parts = {f"fold.{name}": part for name, part in arrays.items()}
        for i, state in enumerate(self._states.values()):
            parts |= {f"state.{i}.{name}": _to_file(part) for name, part in state.items()}
        return {"fold": fold} | self._described(), parts

    @classmethod
    def _from_parts(cls, config: Mapping[str, Any], arrays: Arrays) -> Self:
        self = cls(**config["params"])
        self._check_settings()
        self._fold = cls._fold_from(config["fold"], under("fold.", arrays))
        self.horizon_ = self._fold.horizon
        self._recall(config, len(self._fold.centre))
        self._seen = None
        self._end_ns = dict(config["ends"])
        self._states = {
            name: checked_state(self._fold, _from_file(under(f"state.{i}.", arrays)))
            for i, name in enumerate(config["assets"])
        }
        return self


def _to_file(part: NDArray[Any]) -> NDArray[Any]:
    """Return a state's part as a model folder may hold it: the largest number for infinity."""
    return np.nan_to_num(part, posinf=np.finfo(part.dtype).max)


def _from_file(arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {
        name: np.where(part == np.finfo(part.dtype).max, np.inf, part).astype(part.dtype)
        for name, part in arrays.items()
    }
