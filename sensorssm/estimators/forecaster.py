"""SSMForecaster: a state space memory with a closed-form readout, by scikit-learn's contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from sensorssm.errors import ConfigError, DataError
from sensorssm.estimators.answers import empty_like, predict_answer
from sensorssm.estimators.assets import assets_of
from sensorssm.estimators.checks import check_steps, refuse_empty_tags
from sensorssm.estimators.covariates import fit_known_future
from sensorssm.estimators.explanation import Explaining
from sensorssm.estimators.fitting import fit_model
from sensorssm.estimators.growth import Growth
from sensorssm.estimators.imputation import Imputing
from sensorssm.estimators.known_inputs import KnownInputs
from sensorssm.estimators.model_forecaster import ModelForecaster
from sensorssm.estimators.own_models import OwnModels, reweighed
from sensorssm.estimators.readers import FutureState, FutureStream
from sensorssm.estimators.rolling import mean_below_zero
from sensorssm.estimators.seasonality import resolve_seasons
from sensorssm.estimators.selective_fitting import deltas_along
from sensorssm.estimators.static_table import StaticTable
from sensorssm.estimators.stream import ForecastStream

FloatArray = NDArray[np.float64]

MEMORIES = ("fixed", "gated", "selective", "auto")


class SSMForecaster(Imputing, Explaining, ModelForecaster):
    """Forecast every tag of an asset from the whole of its past.

    Each tag is remembered by a state space model that is linear in its readings, with poles at the
    season's harmonics and many decay times. Missing readings and uneven times are exact, not filled
    in. Forecasts are averages of plain bases (level, last value, last season) and of closed-form
    readouts of the memory, shared by the tags and bent per tag; what each tag averages is decided
    on blocks that were held back.

    Parameters
    ----------
    horizon : steps to forecast
    season : "auto", None, steps, or a list of steps such as [96, 672]
    memory : "fixed" takes every reading in whole; "gated" doubts single spikes; "selective" adds a
        selective state space model of all tags on what is left. Each only where held-back blocks
        say so; "auto" is "selective"
    lags : raw readings the readout sees beside the memory
    period : grid step in seconds; by default the median step of the times
    random_state : seed of what is random; the fixed memory has nothing that is
    n_jobs : assets that are read side by side, by threads; None is 1, -1 as many as there are cores

    Attributes
    ----------
    horizon_, season_ : what was fitted; `season_` is a tuple of steps, empty without a season
    own_gain_ : by asset, the share of the held-back squared error that a readout of its own took
        off; 0 where the asset has the shared one
    static_gain_ : share of the squared error of left-out assets that `static` took off
    future_gain_ : by tag, the share of the held-back squared error that known inputs took off
    across_gain_ : held-back absolute error that a readout across tags took off, a share; 0 where
        none was kept
    selective_gain_ : held-back loss that the selective part took off, a share; 0 where not kept
    tags_, n_features_in_, feature_names_in_ : the fitted tags
    """

    # Readings that follow X cannot be cut into folds along with it.
    __metadata_request__fit: ClassVar = {"X_val": UNUSED}

    def __init__(
        self,
        *,
        horizon: int = 96,
        season: Any = "auto",
        memory: str = "gated",
        lags: int = 8,
        period: float | None = None,
        random_state: int | None = 0,
        n_jobs: int | None = None,
    ) -> None:
        self.horizon = horizon
        self.season = season
        self.memory = memory
        self.lags = lags
        self.period = period
        self.random_state = random_state
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: None = None,
        *,
        X_val: Any = None,
        times: Any = None,
        groups: Any = None,
        future: Any = None,
        static: Any = None,
    ) -> Self:
        """Learn from `X`, rows in time order, one asset after the other; NaN is missing.

        `X_val` follows `X` in time, asset by asset; it chooses settings and calibrates, and
        teaches nothing else. `future` is a table of inputs that are known in advance, a row for
        each row of `X`; what it holds of the same step may be used to forecast that step.
        `static` are numbers of each asset that never change, such as
        ``{"pump 1": {"size": 7.5}, "pump 2": {"size": 11.0}}``; it may know more assets than `X`.

        Raises
        ------
        DataError : a tag without readings, infinite readings, times that do not increase, `static`
            without the numbers of an asset, or for a single one
        ConfigError : a setting out of range
        """
        self._check_settings()
        window = self._window(X, times=times, groups=groups, reset=True, ensure_min_samples=2)
        self.period_s_ = self.period if self.period is not None else window.period_s
        window = window if self.period is None else self._window(X, times=times, groups=groups)
        refuse_empty_tags(window.values, self.tags_)
        self.horizon_ = int(self.horizon)
        longest = max(assets_of(window), key=lambda rows: len(rows.values))
        if len(longest.values) < 2:
            raise DataError("every asset has one row, wanted one that has two or more")
        seasons = resolve_seasons(self.season, longest.values)
        found = isinstance(self.season, str)
        series = self._series(window, X_val)
        table = None if static is None else StaticTable.read(static)
        fit = fit_model(
            list(series.values()),
            horizon=self.horizon_,
            seasons=[seasons[:1], seasons] if found else [seasons],
            lags=int(self.lags),
            gated=self.memory != "fixed",
            selective=self.memory in ("selective", "auto"),
            seed=0 if self.random_state is None else int(self.random_state),
            threads=self._threads,
            per_asset=True,
            static=None if table is None else table.of(series),
        )
        self._model = fit.model
        names = list(series)
        self._own = OwnModels(
            {names[i]: model for i, model in fit.own.items()},
            {names[i]: own.gain for i, own in fit.attempt.own.items()},
            table,
            None if fit.attempt.static is None else fit.attempt.static.effect,
        )
        self.season_ = fit.model.linear.seasons
        self._known, states = None, fit.states
        if future is not None:
            inputs = KnownInputs.read(future, period_s=self.period_s_)
            rows = inputs.cut(list(assets_of(window)))
            self._known, known = fit_known_future(fit, list(series.values()), rows, inputs.names)
            states = [*map(FutureState, states, known)]
        self._states = dict(zip(series, states, strict=True))
        self._growth = Growth(fit.attempt, list(series))
        self._seen = empty_like(X if X_val is None else X_val)
        return self

    def partial_fit(
        self,
        X: Any,
        y: None = None,
        *,
        times: Any = None,
        groups: Any = None,
        future: Any = None,
    ) -> Self:
        """Learn on from rows that follow what was seen; the first call is `fit`.

        Settings stay as `fit` chose them, and so do the effect of known inputs and the calibration,
        which adapts online. A new asset in `groups` starts from nothing.

        Raises
        ------
        ConfigError : a loaded model; its folder does not hold what it was solved from.
        """
        if not hasattr(self, "_model"):
            return self.fit(X, times=times, groups=groups, future=future)
        if self._growth is None:
            raise ConfigError(
                "a loaded model cannot learn on: its folder holds no sums of its readings. "
                "Call update() to go on with it as it is, or fit() on all readings."
            )
        records = self._beside(self._records(X, times, groups), future)
        for rows in [self._after(rows) for rows in records]:  # all, before any is learnt
            self._growth.read(rows.asset, rows.values, rows.elapsed)
        self._follow(records)
        self._seen = empty_like(X)
        weights, own = self._growth.improve(self._model.linear)
        self._model = reweighed(self._model, weights)
        models = {asset: reweighed(self._model, its) for asset, its in own.items()}
        self._own = replace(self._own, models=models)
        return self

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

    def introduce(self, static: Any) -> Self:
        """Take in numbers, as in `fit`, of assets that come later; known ones are replaced.

        Where `fit` found that the numbers help, such an asset is forecast by them from its first
        reading on.

        Raises
        ------
        ConfigError : a fit without `static`
        DataError : other numbers than in `fit`, or missing ones
        """
        check_is_fitted(self)
        self._own = self._own.introduced(static)
        return self

    @property
    def static_gain_(self) -> float:
        """Return the share of the squared error of left-out assets that `static` took off.

        0 where it was not kept or not given.
        """
        check_is_fitted(self)
        return 0.0 if self._own.effect is None else self._own.effect.gain

    @property
    def own_gain_(self) -> dict[str, float]:
        """Return each asset's share of the held-back squared error that its own readout took off.

        0 where it has none, as the shared readout was not surely worse.
        """
        check_is_fitted(self)
        return {asset: self._own.gain.get(asset, 0.0) for asset in self._states}

    @property
    def future_gain_(self) -> dict[str, float]:
        """Return each tag's share of the held-back squared error that known inputs took off.

        0 where they were not kept; all tags without any.
        """
        check_is_fitted(self)
        gain = np.zeros(len(self.tags_)) if self._known is None else self._known.effect.gain
        return dict(zip(self.tags_, gain.tolist(), strict=True))

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

    def _check_settings(self) -> None:
        check_steps(horizon=self.horizon, lags=self.lags)
        if self.memory not in MEMORIES:
            raise ConfigError(f"memory={self.memory!r}, wanted one of {', '.join(MEMORIES)}")
        if self.period is not None and not self.period > 0:
            raise ConfigError(f"period={self.period!r}, wanted seconds above 0, or None")
