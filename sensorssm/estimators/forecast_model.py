"""The fitted parts of a forecaster, and the one fold by which they read a series on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError
from sensorssm.estimators.asset_state import AssetState
from sensorssm.estimators.learning import chunks, row_floats
from sensorssm.models.knots import KnotForecast
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features
from sensorssm.models.reach import Reach
from sensorssm.scoring.conformal import Conformal, check_levels
from sensorssm.scoring.dispersion import Context

if TYPE_CHECKING:
    from sensorssm.estimators.selective_memory import Correction

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Seen(NamedTuple):
    """What a forecast is made from, after k rows.

    Attributes
    ----------
    features : of the linear memory
    weighed : (k, M, K, 2) how far forecasts may leave the last reading, see `Reach.advance`
    width : (k, M, K) calibration, see `TrackerState`
    coefficients : (k, B, M) of the selective correction; empty without one
    """

    features: Features
    weighed: FloatArray
    width: FloatArray
    coefficients: FloatArray

    def at(self, rows: IntArray) -> Seen:
        """Return what is seen at some of the rows."""
        some = rows if len(rows) else slice(0)  # an update asks for none, and views cost nothing
        return Seen(self.features.at(some), *(part[some] for part in self[1:]))


class ForecastModel:
    """The fitted parts of a forecaster; holds no state of any asset."""

    def __init__(
        self,
        linear: LinearForecast,
        reach: Reach,
        conformal: Conformal,
        correction: Correction | None = None,
    ) -> None:
        self.linear = linear
        self.reach = reach
        self.conformal = conformal
        self.correction = correction
        self.knots = KnotForecast(linear, conformal.dispersion.knots)
        self.path = None if correction is None else correction.path(linear)

    def start(self) -> AssetState:
        """Return the state of an asset of which nothing has been read."""
        memory = self.linear.memory.init_state(self.linear.start)
        selective = {} if self.correction is None else self.correction.start(self.linear.start)
        return AssetState(memory, self.reach.init_state(), self.conformal.init_state(), selective)

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: AssetState, rows: IntArray
    ) -> Seen:
        """Read (n, M) `values` into `state`, which is overwritten; return what is seen at `rows`."""
        parts = []
        for cut, inside, seen, told, points in self._read(values, elapsed, state, rows):
            features = seen.features
            width = self.conformal.advance(
                values[cut],
                features.slot,
                told,
                points - told,
                context_of(features, self.linear),
                state.tracker,
                inside,
            )
            parts.append(seen.at(inside)._replace(width=width))
        return _join(parts) if len(parts) > 1 else parts[0]

    def points(
        self,
        values: FloatArray,
        elapsed: FloatArray,
        state: AssetState,
        rows: IntArray,
        horizon: int,
    ) -> Iterator[FloatArray]:
        """Yield the point forecasts (k, H, M) after `rows`, piece by piece.

        `state` is overwritten but for its calibration, which is left where it was.
        """
        for _, inside, seen, *_ in self._read(values, elapsed, state, rows, horizon):
            some = seen.at(inside)
            yield self.held_back(self.told(some, horizon), some)

    def look(self, state: AssetState) -> Seen:
        """Return what is seen of one state, as k = 1 row."""
        features = self.linear.memory.look(state.memory)
        none = np.empty((0, len(self.linear.start)))
        coefficients = state.selective.get("coefficients", none)
        weighed = self.reach.look(state.reach)
        return Seen(features, weighed, state.tracker.width[None], coefficients[None])

    def forecast(self, seen: Seen, horizon: int | None, quantiles: ArrayLike | None) -> FloatArray:
        """Return (k, H, M), or with quantiles (k, H, M, Q), in each tag's unit.

        Raises
        ------
        ConfigError : a horizon that was not fitted, or quantiles that are not increasing levels.
        """
        horizon = check_horizon(horizon, self.linear.horizon)
        if quantiles is None:
            return self.held_back(self.told(seen, horizon), seen)
        return self.fan(self.conformal, seen, np.zeros(()), horizon, check_levels(quantiles))

    def fan(
        self,
        conformal: Conformal,
        seen: Seen,
        moved: FloatArray,
        horizon: int,
        levels: FloatArray,
    ) -> FloatArray:
        """Return quantiles (k, H, M, Q) around forecasts with `moved` (k, H, M) added to them.

        Their width is that of the whole forecasts, which is what `conformal` was fitted to.
        """
        told = self.told(seen, horizon)
        context = context_of(seen.features, self.linear)
        out = conformal.quantiles(told + moved, context, seen.width, levels)
        out += (self.held_back(told.copy(), seen) - told)[..., None]
        return out

    def _cuts(
        self, values: FloatArray, rows: IntArray, horizon: int = 0
    ) -> Iterator[tuple[slice, IntArray]]:
        """Yield pieces of the values, and which of `rows` lie in each, counted within it."""
        floats = row_floats(self.linear.memory, values.shape[1], horizon)
        for cut in chunks(len(values), floats):
            yield cut, rows[(rows >= cut.start) & (rows < cut.stop)] - cut.start

    def _read(
        self,
        values: FloatArray,
        elapsed: FloatArray,
        state: AssetState,
        rows: IntArray,
        horizon: int = 0,
    ) -> Iterator[tuple[slice, IntArray, Seen, FloatArray, FloatArray]]:
        """Read on in pieces; yield each, which of `rows` lie in it, what is seen of all of its rows
        but the widths, and their forecasts (n, M, K) at the knots: whole, and as far as they reach.
        """
        memory, gate = self.linear.memory, self.linear.gate
        for cut, inside in self._cuts(values, rows, horizon):
            every = np.arange(cut.stop - cut.start)
            features = memory.advance(
                values[cut], elapsed[cut], state.memory, rows=every, gate=gate
            )
            told = self.knots(features)
            coefficients = self._coefficients(features, values[cut], state)
            if self.correction is not None:
                told += self.correction.at(coefficients, self.reach.knots - 1)
            points = told.copy()
            weighed = self.reach.advance(
                values[cut], features.slot, features.last, points, state.reach
            )
            yield cut, inside, Seen(features, weighed, weighed, coefficients), told, points

    def told(self, seen: Seen, horizon: int) -> FloatArray:
        """Return the whole forecasts (k, H, M) of what is seen, however far they reach."""
        told = self.linear.forecast(seen.features, horizon)
        if self.correction is not None:
            told = self.correction.add(told, seen.coefficients)
        return told

    def held_back(self, told: FloatArray, seen: Seen) -> FloatArray:
        """Return forecasts (k, H, M) as far as they reach; overwritten."""
        features = seen.features
        return self.reach.follow(told, features.last, features.waited, seen.weighed)

    def _coefficients(
        self, features: Features, values: FloatArray, state: AssetState
    ) -> FloatArray:
        """Return the correction's coefficients (n, B, M), none of them without one."""
        if self.correction is None or self.path is None:
            return np.empty((len(values), 0, values.shape[1]))
        return self.correction.read(features, values, self.path(features), state.selective)


def context_of(features: Features, linear: LinearForecast) -> Context:
    """Return what calibration knows of the rows beside their forecasts."""
    season = linear.seasons[0] if linear.seasons else 1
    last = features.recent[:, :, -season:]
    return Context(features.level, last, features.spread, features.waited)


def check_horizon(horizon: int | None, fitted: int) -> int:
    """Return the steps asked for, by default all that were fitted.

    Raises
    ------
    ConfigError : less than one step, or more than were fitted.
    """
    if horizon is None:
        return fitted
    if not isinstance(horizon, int | np.integer) or not 1 <= horizon <= fitted:
        raise ConfigError(
            f"horizon={horizon!r}, wanted 1 to {fitted} steps. For more, fit with horizon={horizon}."
        )
    return int(horizon)


def _join(parts: list[Seen]) -> Seen:
    columns = list(zip(*parts, strict=True))
    features = Features.joined(columns[0])
    return Seen(features, *(np.concatenate(column) for column in columns[1:]))
