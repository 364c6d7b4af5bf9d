"""How a fitted forecaster reads assets on: its readings alone, or with known inputs beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, ShapeError
from sensorssm.estimators.asset_state import AssetState
from sensorssm.estimators.assets import AssetRows
from sensorssm.estimators.covariates import KnownFuture
from sensorssm.estimators.folder import under
from sensorssm.estimators.forecast_model import ForecastModel, check_horizon
from sensorssm.estimators.known_inputs import KnownInputs
from sensorssm.estimators.stream import ForecastStream, steps_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Arrays = Mapping[str, NDArray[Any]]

_NO_ROWS = np.zeros(0, dtype=np.int64)
_INPUTS = "inputs."


@dataclass(frozen=True)
class Reader:
    """Reads an asset's readings; its states are those of the model."""

    model: ForecastModel

    def start(self) -> AssetState:
        """Return the state of an asset of which nothing has been read."""
        return self.model.start()

    def read(self, record: AssetRows, state: AssetState) -> None:
        """Move `state` on over a record; it is overwritten."""
        self.model.advance(record.values, record.elapsed, state, _NO_ROWS)

    def along(
        self, record: AssetRows, rows: IntArray, steps: int, levels: FloatArray | None
    ) -> Iterator[FloatArray]:
        """Yield the forecasts after increasing `rows` of a record read from its start, in pieces."""
        state = self.model.start()
        if levels is None:
            yield from self.model.points(record.values, record.elapsed, state, rows, steps)
        else:
            seen = self.model.advance(record.values, record.elapsed, state, rows)
            yield self.model.forecast(seen, steps, levels)

    def ahead(
        self,
        state: AssetState,
        future: FloatArray | None,
        horizon: int | None,
        quantiles: ArrayLike | None,
    ) -> FloatArray:
        """Return the forecast (H, M[, Q]) after a state."""
        return self.model.forecast(self.model.look(state), horizon, quantiles)[0]

    def inputs(self, table: Any) -> KnownInputs | None:
        """Return a table of known inputs; here there must be none.

        Raises
        ------
        ConfigError : a table
        """
        if table is not None:
            raise ConfigError(
                "future was given to a model that was fitted without. Fit with future."
            )
        return None

    def stream(self, state: AssetState) -> ForecastStream:
        """Return a stream that goes on from `state`."""
        return ForecastStream(self.model, state)

    def restored(self, arrays: Arrays) -> AssetState:
        """Return the state of named parts; raises as `AssetState.from_arrays` does."""
        return AssetState.from_arrays(arrays, self.model.start())


class FutureState(NamedTuple):
    """Where an asset's readings stand, and where its known inputs do."""

    readings: AssetState
    inputs: AssetState

    def copy(self) -> FutureState:
        """Return a state that shares nothing with this one."""
        return FutureState(self.readings.copy(), self.inputs.copy())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parts by name, not copied."""
        inputs = {_INPUTS + name: part for name, part in self.inputs.to_arrays().items()}
        return self.readings.to_arrays() | inputs


@dataclass(frozen=True)
class FutureReader:
    """Reads an asset's readings and, beside them, the inputs whose future is known."""

    model: ForecastModel
    known: KnownFuture
    period_s: float | None

    def start(self) -> FutureState:
        """Return the state of an asset of which nothing has been read."""
        return FutureState(self.model.start(), self.known.model.start())

    def read(self, record: AssetRows, state: FutureState) -> None:
        """Move `state` on over a record; it is overwritten."""
        self.model.advance(record.values, record.elapsed, state.readings, _NO_ROWS)
        self.known.read(record, state.inputs)

    def along(
        self, record: AssetRows, rows: IntArray, steps: int, levels: FloatArray | None
    ) -> Iterator[FloatArray]:
        """Yield the forecasts after increasing `rows` of a record read from its start, in pieces."""
        told = self.known.along(record, rows, steps)
        if levels is None:
            plain = Reader(self.model).along(record, rows, steps, None)
            yield told.point(np.concatenate([*plain]))
        else:
            state = self.model.start()
            seen = self.model.advance(record.values, record.elapsed, state, rows)
            yield self.known.fan(told, self.model, seen, steps, levels)

    def ahead(
        self,
        state: FutureState,
        future: FloatArray | None,
        horizon: int | None,
        quantiles: ArrayLike | None,
    ) -> FloatArray:
        """Return the forecast (H, M[, Q]) after a state, by the inputs (*, K) that come next."""
        steps = check_horizon(horizon, self.model.linear.horizon)
        told, seen = self.known.ahead(state.inputs, future, steps), self.model.look(state.readings)
        if quantiles is None:
            return told.point(self.model.forecast(seen, steps, None))[0]
        return self.known.fan(told, self.model, seen, steps, quantiles)[0]

    def inputs(self, table: Any) -> KnownInputs | None:
        """Return a table of known inputs, with the fitted columns."""
        return None if table is None else KnownInputs.read(table, self.known.names, self.period_s)

    def stream(self, state: FutureState) -> FutureStream:
        """Return a stream that goes on from `state`."""
        return FutureStream(self, state)

    def restored(self, arrays: Arrays) -> FutureState:
        """Return the state of named parts; raises as `AssetState.from_arrays` does."""
        inputs = AssetState.from_arrays(under(_INPUTS, arrays), self.known.model.start())
        return FutureState(AssetState.from_arrays(arrays, self.model.start()), inputs)


class FutureStream:
    """The forecast of one asset and its known inputs, one reading at a time.

    The methods are `ForecastStream`'s, with `future` beside the readings.
    """

    def __init__(self, reader: FutureReader, state: FutureState) -> None:
        self._reader, self._state = reader, state

    def update(
        self, values: ArrayLike, elapsed: float = 1.0, future: ArrayLike | None = None
    ) -> None:
        """Read one row, (M,), and its known inputs, (K,); NaN where missing.

        Raises
        ------
        ShapeError : not one value for each fitted tag, or for each known input
        DataError : `elapsed` is not above 0
        """
        rows = [
            _row("values", values, len(self._reader.model.linear.start)),
            None if future is None else _row("future", future, len(self._reader.known.names)),
        ]
        record = AssetRows("", rows[0], steps_of(elapsed), None, rows[1])
        self._reader.read(record, self._state)

    def forecast(
        self,
        horizon: int | None = None,
        quantiles: ArrayLike | None = None,
        future: Any = None,
    ) -> FloatArray:
        """Return the next steps, (H, M), or with quantiles (H, M, Q), in each tag's unit."""
        inputs = self._reader.inputs(future)
        ahead = None if inputs is None else inputs.values
        return self._reader.ahead(self._state, ahead, horizon, quantiles)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the state as named arrays, copied."""
        return {name: part.copy() for name, part in self._state.to_arrays().items()}

    def check(self, snapshot: Arrays) -> FutureState:
        """Return the state of a `snapshot` without going on from it; raises as `restore` does."""
        return self._reader.restored(snapshot)

    def restore(self, snapshot: Arrays) -> None:
        """Go on from a `snapshot`.

        Raises
        ------
        ModelFileError : a snapshot of another model.
        """
        self._state = self.check(snapshot)


def _row(name: str, values: ArrayLike, count: int) -> FloatArray:
    row = np.ascontiguousarray(values, dtype=np.float64)
    if row.shape != (count,):
        raise ShapeError(f"{name} has shape {row.shape}, wanted ({count},): one per fitted column")
    return row[None]
