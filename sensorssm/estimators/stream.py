"""A fitted forecast that reads on, one reading at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import DataError, ShapeError
from sensorssm.estimators.asset_state import AssetState
from sensorssm.estimators.forecast_model import ForecastModel
from sensorssm.estimators.state_parts import LAST_SLOT

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NO_ROWS = np.zeros(0, dtype=np.int64)


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
