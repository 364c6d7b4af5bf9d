"""What forecasters share: they read assets on row by row, and tell what comes after any row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sensorssm.errors import ConfigError
from sensorssm.estimators.answers import forecast_answer
from sensorssm.estimators.assets import AssetRows, assets_of, between_steps
from sensorssm.estimators.base import WindowEstimator
from sensorssm.estimators.checks import check_origins
from sensorssm.estimators.folder import ModelFolder
from sensorssm.estimators.forecast_model import check_horizon
from sensorssm.estimators.learning import Series, in_threads
from sensorssm.frames import Window
from sensorssm.scoring.conformal import check_levels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class RollingForecaster(ModelFolder, WindowEstimator):
    """The workings of a forecaster around a model of its own.

    A subclass says what a state is, how it reads on and what is told from it.

    Attributes
    ----------
    horizon_ : steps that can be forecast
    """

    horizon_: int
    period_s_: float | None
    _seen: Any
    _states: dict[str, Any]
    _end_ns: dict[str, int]

    @property
    def _centre(self) -> FloatArray:
        """The level (M,) of each tag before anything is read."""
        raise NotImplementedError

    def _start(self) -> Any:
        """Return the state of an asset of which nothing has been read."""
        raise NotImplementedError

    def _read_on(self, record: AssetRows, state: Any) -> Any:
        """Return the state after more rows; `state` may be overwritten."""
        raise NotImplementedError

    def _along(
        self, record: AssetRows, rows: IntArray, steps: int, levels: FloatArray | None
    ) -> Iterator[FloatArray]:
        """Yield the forecasts after increasing `rows` of a record read from its start, in pieces.

        Pieces are (k, steps, M), with levels (k, steps, M, Q).
        """
        raise NotImplementedError

    def readings(self, X: Any) -> FloatArray:
        """Return the fitted tags of a table as an array (n, M), time and asset taken off."""
        check_is_fitted(self)
        return self._window(X).values

    def _records(self, X: Any, times: Any = None, groups: Any = None) -> list[AssetRows]:
        """Return the rows of each asset in a table of the fitted tags."""
        check_is_fitted(self)
        return list(assets_of(self._window(X, times=times, groups=groups)))

    def _beside(self, records: list[AssetRows], future: Any) -> list[AssetRows]:
        """Return the records with their known inputs beside them."""
        raise NotImplementedError

    def _answer(self, values: FloatArray, asset: str, quantiles: ArrayLike | None) -> Any:
        """Return what is told after the end of an asset in the kind of table seen last."""
        return forecast_answer(
            self._seen, values, self.tags_, quantiles, self._end_ns.get(asset), self.period_s_
        )

    def _from_origins(
        self,
        records: list[AssetRows],
        origins: ArrayLike,
        horizon: int | None,
        quantiles: ArrayLike | None,
    ) -> FloatArray:
        """Return the forecasts after each of `origins`, rows of all records: (n, H, M[, Q])."""
        rows = check_origins(origins, sum(len(record.values) for record in records))
        steps = check_horizon(horizon, self.horizon_)
        levels = None if quantiles is None else check_levels(quantiles)
        unique, back = np.unique(rows, return_inverse=True)
        ends = np.cumsum([len(record.values) for record in records])
        inside = np.split(unique, np.searchsorted(unique, ends[:-1]))
        asked = zip(records, inside, ends - [len(record.values) for record in records], strict=True)
        parts = self._side_by_side(
            lambda one: np.concatenate([*self._along(one[0], one[1] - one[2], steps, levels)]),
            [one for one in asked if len(one[1])],
        )
        return np.concatenate(parts)[back]

    @property
    def _threads(self) -> int:
        """Return how many assets are read side by side."""
        jobs = getattr(self, "n_jobs", None)
        return int(effective_n_jobs(1 if jobs is None else jobs))

    def _one_step(self, records: list[AssetRows]) -> FloatArray:
        """Return each row's forecast from the rows before it, (n, M)."""
        return np.concatenate(self._side_by_side(self._one_step_of, records))

    def _side_by_side(
        self, work: Callable[[Any], FloatArray], items: list[Any]
    ) -> list[FloatArray]:
        """Return the work on each asset, by as many threads as `n_jobs` says."""
        return in_threads(work, items, self._threads)

    def _one_step_of(self, record: AssetRows) -> FloatArray:
        """Return one-step forecasts (n, M) of one asset, read off between steps on uneven times."""
        steps = int(np.clip(np.ceil(record.elapsed.max()), 1, self.horizon_))
        before = np.repeat(self._centre[None, None], steps, axis=1)
        rows, parts, at = np.arange(len(record.values)), [], 0
        for told in self._along(record, rows, steps, None):
            paths = np.concatenate([before, told[:-1]])
            parts.append(between_steps(paths, record.elapsed[at : at + len(told)]))
            before, at = told[-1:], at + len(told)
        return np.concatenate(parts)

    def _errors(self, records: list[AssetRows]) -> FloatArray:
        """Return the absolute one-step errors (n, M), NaN where nothing was read."""
        values = np.concatenate([record.values for record in records])
        return np.abs(values - self._one_step(records))

    def _follow(self, records: list[AssetRows]) -> None:
        """Move each asset's state on over rows that follow what was seen of it, or move none."""
        for record in [self._after(record) for record in records]:  # all, before any is moved
            state = self._states.get(record.asset)
            state = self._start() if state is None else state
            self._states[record.asset] = self._read_on(record, state)
            self._note_end(record)

    def _series(self, window: Window, X_val: Any, held_back: float = 0.0) -> dict[str, Series]:
        """Return each asset's readings, with those of `X_val` after them; note where they end.

        What follows in `X_val`, and the last share `held_back` of each asset, only judges.
        """
        later = {} if X_val is None else {r.asset: r for r in assets_of(self._window(X_val))}
        self._end_ns = {}
        series = {}
        for record in assets_of(window):
            values, elapsed = record.values, record.elapsed
            trained = len(values) - int(held_back * len(values))
            self._note_end(record)
            if record.asset in later:
                after = self._after(later[record.asset])
                values = np.concatenate([values, after.values])
                elapsed = np.concatenate([elapsed, after.elapsed])
                self._note_end(after)
            series[record.asset] = Series(values, elapsed, trained)
        return series

    def _after(self, record: AssetRows) -> AssetRows:
        """Return the rows with the real gap since the asset was last seen in front."""
        return record.following(self._end_ns.get(record.asset), self.period_s_)

    def _note_end(self, record: AssetRows) -> None:
        if record.end_ns is not None:
            self._end_ns[record.asset] = record.end_ns

    def _asset(self, asset: str | None) -> str:
        if asset is None and len(self._states) == 1:
            return next(iter(self._states))
        if asset is None or asset not in self._states:
            raise ConfigError(f"asset={asset!r}, wanted one of {sorted(self._states)}")
        return asset

    def _described(self) -> dict[str, Any]:
        """Return what every model folder says: settings, tags, assets, where they end."""
        return {
            "params": self.get_params(),
            "tags": list(map(str, getattr(self, "feature_names_in_", []))),
            "assets": list(self._states),
            "ends": self._end_ns,
            "period_s": self.period_s_,
        }


def mean_below_zero(errors: FloatArray) -> float:
    """Return minus the mean of the known errors, scikit-learn's larger-is-better; 0 of none."""
    return -float(np.nanmean(errors)) if np.isfinite(errors).any() else 0.0
