"""A fitted forecast that reads on: the same fold over a whole series, a chunk or one reading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, ModelFileError, ShapeError
from sensorssm.estimators.learning import chunks, row_floats
from sensorssm.models.knots import KnotForecast
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features, MemoryState
from sensorssm.scoring.conformal import Conformal, TrackerState, check_levels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class AssetState(NamedTuple):
    """All that is remembered of one asset."""

    memory: MemoryState
    tracker: TrackerState

    def copy(self) -> AssetState:
        """Return a state that shares nothing with this one."""
        return AssetState(self.memory.copy(), self.tracker.copy())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parts by name, not copied."""
        parts = {**self.memory._asdict(), **self.tracker._asdict()}
        return {name: np.asarray(part) for name, part in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], like: AssetState) -> AssetState:
        """Return the state of named parts whose shapes are those of `like`.

        Raises
        ------
        ModelFileError : a part is missing or of another shape.
        """
        for name, part in like.to_arrays().items():
            found = arrays[name].shape if name in arrays else None
            if found != part.shape:
                raise ModelFileError(
                    f"state part {name!r} has shape {found}, this model wants {part.shape}. "
                    "Restore a snapshot of the same model."
                )
        own = {name: np.array(arrays[name], dtype=np.float64) for name in like.to_arrays()}
        memory = MemoryState(*(own[name] for name in MemoryState._fields))
        return cls(memory, TrackerState(*(own[name] for name in TrackerState._fields)))


class Seen(NamedTuple):
    """What a forecast is made from, after k rows: features, and calibration (k, M, K, levels)."""

    features: Features
    shift: FloatArray


class ForecastModel:
    """The fitted parts of a forecaster; holds no state of any asset."""

    def __init__(self, linear: LinearForecast, conformal: Conformal) -> None:
        self.linear = linear
        self.conformal = conformal
        self.knots = KnotForecast(linear, conformal.dispersion.knots)

    def start(self) -> AssetState:
        """Return the state of an asset of which nothing has been read."""
        memory = self.linear.memory.init_state(self.linear.start)
        return AssetState(memory, self.conformal.init_state())

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: AssetState, rows: IntArray
    ) -> Seen:
        """Read (n, M) `values` into `state`, which is overwritten; return what is seen at `rows`."""
        memory = self.linear.memory
        parts = []
        for cut in chunks(len(values), row_floats(memory, values.shape[1], 0)):
            inside = rows[(rows >= cut.start) & (rows < cut.stop)] - cut.start
            features = memory.advance(
                values[cut],
                elapsed[cut],
                state.memory,
                rows=np.arange(cut.stop - cut.start),
                gate=self.linear.gate,
            )
            points = self.knots(features)
            shift = self.conformal.advance(
                values[cut], features.slot, points, features.spread, state.tracker, inside
            )
            parts.append(Seen(_at(features, inside), shift))
        return _join(parts) if len(parts) > 1 else parts[0]

    def points(
        self,
        values: FloatArray,
        elapsed: FloatArray,
        state: AssetState,
        rows: IntArray,
        horizon: int | None,
    ) -> FloatArray:
        """Return the point forecasts (k, H, M) after `rows`; calibration is not moved.

        `state.memory` is overwritten.
        """
        horizon = check_horizon(horizon, self.linear.horizon)
        memory = self.linear.memory
        out = []
        for cut in chunks(len(values), row_floats(memory, values.shape[1], horizon)):
            inside = rows[(rows >= cut.start) & (rows < cut.stop)] - cut.start
            features = memory.advance(
                values[cut], elapsed[cut], state.memory, rows=inside, gate=self.linear.gate
            )
            out.append(self.linear.forecast(features, horizon))
        return np.concatenate(out)

    def look(self, state: AssetState) -> Seen:
        """Return what is seen of one state, as k = 1 row."""
        return Seen(self.linear.memory.look(state.memory), state.tracker.shift[None])

    def forecast(self, seen: Seen, horizon: int | None, quantiles: ArrayLike | None) -> FloatArray:
        """Return (k, H, M), or with quantiles (k, H, M, Q), in each tag's unit.

        Raises
        ------
        ConfigError : a horizon that was not fitted, or quantiles that are not increasing levels.
        """
        horizon = check_horizon(horizon, self.linear.horizon)
        point = self.linear.forecast(seen.features, horizon)
        if quantiles is None:
            return point
        levels = check_levels(quantiles)
        return self.conformal.quantiles(point, seen.features.spread, seen.shift, levels)


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
        ShapeError : not one value for each fitted tag.
        """
        row = np.ascontiguousarray(values, dtype=np.float64)
        tags = len(self._model.linear.start)
        if row.shape != (tags,):
            raise ShapeError(f"values has shape {row.shape}, wanted ({tags},): one per fitted tag")
        self._model.advance(row[None], np.array([float(elapsed)]), self._state, _NO_ROWS)

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
        self._state = AssetState.from_arrays(snapshot, self._model.start())


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


_NO_ROWS = np.zeros(0, dtype=np.int64)


def _at(features: Features, rows: IntArray) -> Features:
    return Features(features.z[:, rows], *(part[rows] for part in features[1:]))


def _join(parts: list[Seen]) -> Seen:
    z = np.concatenate([part.features.z for part in parts], axis=1)
    rest = [
        np.concatenate([part.features[i] for part in parts])
        for i in range(1, len(Features._fields))
    ]
    return Seen(Features(z, *rest), np.concatenate([part.shift for part in parts]))
