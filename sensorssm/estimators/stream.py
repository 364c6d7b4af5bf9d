"""A fitted forecast that reads on: the same fold over a whole series, a chunk or one reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError, ShapeError
from sensorssm.estimators.learning import chunks, row_floats
from sensorssm.estimators.state_parts import LAST_SLOT, checked_parts, refuse_impossible
from sensorssm.models.knots import KnotForecast
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features, MemoryState
from sensorssm.scoring.conformal import Conformal, TrackerState, check_levels
from sensorssm.scoring.dispersion import Context

if TYPE_CHECKING:
    from sensorssm.estimators.selective_memory import Correction

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SELECTIVE = "selective."
_NO_ROWS = np.zeros(0, dtype=np.int64)


@dataclass
class AssetState:
    """All that is remembered of one asset; `selective` is empty without a correction."""

    memory: MemoryState
    tracker: TrackerState
    selective: dict[str, NDArray[Any]]

    def copy(self) -> AssetState:
        """Return a state that shares nothing with this one."""
        selective = {name: part.copy() for name, part in self.selective.items()}
        return AssetState(self.memory.copy(), self.tracker.copy(), selective)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parts by name, not copied."""
        parts = {**self.memory._asdict(), **self.tracker._asdict()}
        return parts | {_SELECTIVE + name: part for name, part in self.selective.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], like: AssetState) -> AssetState:
        """Return the state of named parts whose shapes are those of `like`.

        Raises
        ------
        ModelFileError : a part is missing, of another shape or type, or impossible.
        """
        own = checked_parts(arrays, like.to_arrays())
        refuse_impossible(own)
        return cls(
            MemoryState(*(own[name] for name in MemoryState._fields)),
            TrackerState(*(own[name] for name in TrackerState._fields)),
            {name: own[_SELECTIVE + name] for name in like.selective},
        )


class Seen(NamedTuple):
    """What a forecast is made from, after k rows.

    Attributes
    ----------
    features : of the linear memory
    width : (k, M, K) calibration, see `TrackerState`
    coefficients : (k, B, M) of the selective correction; empty without one
    """

    features: Features
    width: FloatArray
    coefficients: FloatArray


class ForecastModel:
    """The fitted parts of a forecaster; holds no state of any asset."""

    def __init__(
        self, linear: LinearForecast, conformal: Conformal, correction: Correction | None = None
    ) -> None:
        self.linear = linear
        self.conformal = conformal
        self.correction = correction
        self.knots = KnotForecast(linear, conformal.dispersion.knots)
        self.path = None if correction is None else correction.path(linear)

    def start(self) -> AssetState:
        """Return the state of an asset of which nothing has been read."""
        memory = self.linear.memory.init_state(self.linear.start)
        selective = {} if self.correction is None else self.correction.start(self.linear.start)
        return AssetState(memory, self.conformal.init_state(), selective)

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: AssetState, rows: IntArray
    ) -> Seen:
        """Read (n, M) `values` into `state`, which is overwritten; return what is seen at `rows`."""
        parts = []
        for cut, inside in self._cuts(values, rows):
            features = self._features(values[cut], elapsed[cut], state)
            points = self.knots(features)
            coefficients = self._coefficients(features, values[cut], state)
            if self.correction is not None:
                steps = self.conformal.dispersion.knots - 1
                points += self.correction.at(coefficients, steps)
            width = self.conformal.advance(
                values[cut],
                features.slot,
                points,
                context_of(features, self.linear),
                state.tracker,
                inside,
            )
            parts.append(Seen(features.at(inside), width, coefficients[inside]))
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

        The memory in `state` is overwritten; calibration is left where it was.
        """
        memory = self.linear.memory
        for cut, inside in self._cuts(values, rows, horizon):
            if self.correction is None:
                features = memory.advance(
                    values[cut], elapsed[cut], state.memory, rows=inside, gate=self.linear.gate
                )
                yield self.linear.forecast(features, horizon)
            else:
                features = self._features(values[cut], elapsed[cut], state)
                coefficients = self._coefficients(features, values[cut], state)[inside]
                told = self.linear.forecast(features.at(inside), horizon)
                yield self.correction.add(told, coefficients)

    def look(self, state: AssetState) -> Seen:
        """Return what is seen of one state, as k = 1 row."""
        features = self.linear.memory.look(state.memory)
        none = np.empty((0, len(self.linear.start)))
        coefficients = state.selective.get("coefficients", none)
        return Seen(features, state.tracker.width[None], coefficients[None])

    def forecast(self, seen: Seen, horizon: int | None, quantiles: ArrayLike | None) -> FloatArray:
        """Return (k, H, M), or with quantiles (k, H, M, Q), in each tag's unit.

        Raises
        ------
        ConfigError : a horizon that was not fitted, or quantiles that are not increasing levels.
        """
        horizon = check_horizon(horizon, self.linear.horizon)
        point = self.linear.forecast(seen.features, horizon)
        if self.correction is not None:
            point = self.correction.add(point, seen.coefficients)
        if quantiles is None:
            return point
        levels = check_levels(quantiles)
        return self.conformal.quantiles(
            point, context_of(seen.features, self.linear), seen.width, levels
        )

    def _cuts(
        self, values: FloatArray, rows: IntArray, horizon: int = 0
    ) -> Iterator[tuple[slice, IntArray]]:
        """Yield pieces of the values, and which of `rows` lie in each, counted within it."""
        floats = row_floats(self.linear.memory, values.shape[1], horizon)
        for cut in chunks(len(values), floats):
            yield cut, rows[(rows >= cut.start) & (rows < cut.stop)] - cut.start

    def _features(self, values: FloatArray, elapsed: FloatArray, state: AssetState) -> Features:
        rows = np.arange(len(values))
        gate = self.linear.gate
        return self.linear.memory.advance(values, elapsed, state.memory, rows=rows, gate=gate)

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


def steps_of(elapsed: float) -> FloatArray:
    """Return the steps since the row before, (1,).

    Raises
    ------
    DataError : they are not above 0, or more than can be counted one by one; the state would never
        recover
    """
    steps = float(elapsed)
    if not 0.0 < steps < LAST_SLOT:
        raise DataError(
            f"elapsed={elapsed!r}, wanted steps above 0 and below 2**53 since the row before"
        )
    return np.array([steps])


class ForecastStream:
    """The forecast of one asset, one reading at a time; every reading costs the same.

    Equal to `SSMForecaster.forecast_from` on the whole series, because it is the same fold.
    """

    def __init__(self, model: ForecastModel, state: AssetState | None = None) -> None:
        self._model = model
        self._state = model.start() if state is None else state

    def update(self, values: ArrayLike, elapsed: float = 1.0) -> None:
        """Read one row, (M,), NaN where missing; `elapsed` is the steps since the row before.

        Raises
        ------
        ShapeError : not one value for each fitted tag
        DataError : `elapsed` is not above 0
        """
        row = np.ascontiguousarray(values, dtype=np.float64)
        tags = len(self._model.linear.start)
        if row.shape != (tags,):
            raise ShapeError(f"values has shape {row.shape}, wanted ({tags},): one per fitted tag")
        self._model.advance(row[None], steps_of(elapsed), self._state, _NO_ROWS)

    def forecast(
        self, horizon: int | None = None, quantiles: ArrayLike | None = None
    ) -> FloatArray:
        """Return the next steps, (H, M), or with quantiles (H, M, Q), in each tag's unit."""
        return self._model.forecast(self._model.look(self._state), horizon, quantiles)[0]

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the state as named arrays, copied."""
        return {name: part.copy() for name, part in self._state.to_arrays().items()}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a `snapshot`.

        Raises
        ------
        ModelFileError : a snapshot of another model.
        """
        self._state = self.check(snapshot)

    def check(self, snapshot: Mapping[str, NDArray[Any]]) -> AssetState:
        """Return the state of a `snapshot` without going on from it; raises as `restore` does."""
        return AssetState.from_arrays(snapshot, self._model.start())


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
