"""A fitted forecast as a fold over rows, and the stream that any such fold gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ShapeError
from sensorssm.estimators.forecast_model import check_horizon
from sensorssm.estimators.state_parts import checked_parts
from sensorssm.scoring.conformal import check_levels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: All that is remembered of one asset, by name; only its fold knows what the parts mean.
State = dict[str, NDArray[Any]]

#: Rows that are read at once; memory depends on it, and no answer does.
CHUNK = 256
_NO_ROWS = np.zeros(0, dtype=np.int64)


class Fold(Protocol):
    """A fitted forecast that reads on. It holds no state of any asset and changes none."""

    @property
    def horizon(self) -> int:
        """Steps that can be forecast, H."""
        ...

    @property
    def centre(self) -> FloatArray:
        """The level (M,) of each tag before anything was read."""
        ...

    def start(self) -> State:
        """Return the state of an asset of which nothing has been read."""
        ...

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: State, rows: IntArray
    ) -> tuple[NDArray[Any], State]:
        """Read (n, M) values; return what was seen at `rows`, (k, S), and the state after all."""
        ...

    def look(self, state: State) -> NDArray[Any]:
        """Return what is seen of one state, (1, S)."""
        ...

    def tell(
        self, seen: NDArray[Any], horizon: int, levels: FloatArray | None = None
    ) -> FloatArray:
        """Return forecasts (k, H, M), with levels (k, H, M, Q), in each tag's unit."""
        ...

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays, for a model folder."""
        ...


def told_along(
    fold: Fold,
    values: FloatArray,
    elapsed: FloatArray,
    rows: IntArray,
    horizon: int,
    levels: FloatArray | None = None,
) -> Iterator[FloatArray]:
    """Yield the forecasts after `rows`, increasing, of a record read from its start, in pieces.

    Reading ends with the last row asked for.
    """
    state = fold.start()
    for at in range(0, int(rows[-1]) + 1, CHUNK):
        cut = slice(at, at + CHUNK)
        inside = rows[(rows >= at) & (rows < at + CHUNK)] - at
        seen, state = fold.advance(values[cut], elapsed[cut], state, inside)
        if len(inside):
            yield fold.tell(seen, horizon, levels)


def read_on(fold: Fold, values: FloatArray, elapsed: FloatArray, state: State) -> State:
    """Return the state after (n, M) more values."""
    for at in range(0, len(values), CHUNK):
        cut = slice(at, at + CHUNK)
        _, state = fold.advance(values[cut], elapsed[cut], state, _NO_ROWS)
    return state


class FoldStream:
    """The forecast of one asset, one reading at a time; the methods are `ForecastStream`'s."""

    def __init__(self, fold: Fold, state: State | None = None) -> None:
        self._fold = fold
        self._state = fold.start() if state is None else state

    def update(self, values: ArrayLike, elapsed: float = 1.0) -> None:
        """Read one row, (M,), NaN where missing; `elapsed` is the steps since the row before.

        Raises
        ------
        ShapeError : not one value for each fitted tag
        """
        row = np.ascontiguousarray(values, dtype=np.float64)
        if row.shape != self._fold.centre.shape:
            raise ShapeError(
                f"values has shape {row.shape}, wanted {self._fold.centre.shape}: "
                "one per fitted tag"
            )
        self._state = read_on(self._fold, row[None], np.array([float(elapsed)]), self._state)

    def forecast(
        self, horizon: int | None = None, quantiles: ArrayLike | None = None
    ) -> FloatArray:
        """Return the next steps, (H, M), or with quantiles (H, M, Q), in each tag's unit."""
        return tell(self._fold, self._fold.look(self._state), horizon, quantiles)[0]

    def snapshot(self) -> State:
        """Return the state as named arrays, copied."""
        return {name: part.copy() for name, part in self._state.items()}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a `snapshot`.

        Raises
        ------
        ModelFileError : a snapshot of another model.
        """
        self._state = checked_state(self._fold, snapshot)


def tell(
    fold: Fold, seen: NDArray[Any], horizon: int | None, quantiles: ArrayLike | None
) -> FloatArray:
    """Return the fold's forecasts, with horizon and quantiles checked.

    Raises
    ------
    ConfigError : a horizon that was not fitted, or quantiles that are not increasing levels.
    """
    steps = check_horizon(horizon, fold.horizon)
    return fold.tell(seen, steps, None if quantiles is None else check_levels(quantiles))


def checked_state(fold: Fold, arrays: Mapping[str, NDArray[Any]]) -> State:
    """Return the state of named parts; ModelFileError where they do not fit the fold's."""
    return checked_parts(arrays, fold.start())
