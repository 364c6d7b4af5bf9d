"""SSMForecaster: a state space memory with a closed-form readout, by scikit-learn's contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from sensorssm.errors import ConfigError, DataError
from sensorssm.estimators.answers import empty_like
from sensorssm.estimators.assets import assets_of
from sensorssm.estimators.checks import check_steps, refuse_empty_tags
from sensorssm.estimators.covariates import fit_known_future
from sensorssm.estimators.explanation import Explaining
from sensorssm.estimators.fitting import fit_model
from sensorssm.estimators.growth import Growth
from sensorssm.estimators.imputation import Imputing
from sensorssm.estimators.inspection import Inspecting
from sensorssm.estimators.known_inputs import KnownInputs
from sensorssm.estimators.own_models import OwnModels, reweighed
from sensorssm.estimators.readers import FutureState
from sensorssm.estimators.seasonality import resolve_seasons
from sensorssm.estimators.static_table import StaticTable
from sensorssm.estimators.telling import Telling

FloatArray = NDArray[np.float64]

MEMORIES = ("fixed", "gated", "selective", "auto")


class SSMForecaster(Imputing, Explaining, Inspecting, Telling):
    """Forecast every tag of an asset from the whole of its past.

    Each tag is remembered by a state space model that is linear in its readings, with poles at the
    season's harmonics and many decay times. Missing readings and uneven times are exact, not filled
    in. Forecasts are averages of plain bases (level, last value, last season) and of closed-form
    readouts of the memory, shared by tags and assets and bent for each; what each averages, and
    whose readout is bent, is decided on blocks that were held back.

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

    def _check_settings(self) -> None:
        check_steps(horizon=self.horizon, lags=self.lags)
        if self.memory not in MEMORIES:
            raise ConfigError(f"memory={self.memory!r}, wanted one of {', '.join(MEMORIES)}")
        if self.period is not None and not self.period > 0:
            raise ConfigError(f"period={self.period!r}, wanted seconds above 0, or None")
