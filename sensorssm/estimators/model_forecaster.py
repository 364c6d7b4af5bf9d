"""A `ForecastModel` inside a forecaster: how it reads assets on, and how it is saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sensorssm.estimators.asset_state import AssetState
from sensorssm.estimators.assets import AssetRows
from sensorssm.estimators.covariates import KnownFuture
from sensorssm.estimators.folder import under
from sensorssm.estimators.forecast_model import ForecastModel
from sensorssm.estimators.growth import Growth
from sensorssm.estimators.model_parts import model_from_arrays, model_to_arrays
from sensorssm.estimators.own_models import OwnModels
from sensorssm.estimators.readers import FutureReader, FutureState, Reader
from sensorssm.estimators.rolling import RollingForecaster

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class ModelForecaster(RollingForecaster):
    """What `SSMForecaster` is around its model, and around the inputs whose future is known."""

    season_: tuple[int, ...]
    _model: ForecastModel
    _own: OwnModels
    _known: KnownFuture | None
    _growth: Growth | None

    @property
    def _centre(self) -> FloatArray:
        return self._model.linear.start

    def _model_of(self, asset: str) -> ForecastModel:
        """Return the model that an asset is forecast by: its own, or the shared one."""
        return self._own.of(asset, self._model)

    def _reader_of(self, asset: str) -> Reader | FutureReader:
        if self._known is None:
            return Reader(self._model_of(asset))
        return FutureReader(self._model_of(asset), self._known, self.period_s_)

    @property
    def _reader(self) -> Reader | FutureReader:
        """What reads an asset of which nothing is known."""
        return self._reader_of("")

    def _start(self) -> AssetState | FutureState:
        return self._reader.start()

    def _read_on(self, record: AssetRows, state: Any) -> Any:
        self._reader_of(record.asset).read(record, state)
        return state

    def _along(
        self, record: AssetRows, rows: IntArray, steps: int, levels: FloatArray | None
    ) -> Iterator[FloatArray]:
        return self._reader_of(record.asset).along(record, rows, steps, levels)

    def _beside(self, records: list[AssetRows], future: Any) -> list[AssetRows]:
        """Return the records with their known inputs beside them."""
        inputs = self._reader.inputs(future)
        return records if inputs is None else inputs.beside(records)

    def _to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        check_is_fitted(self)
        config, arrays = model_to_arrays(self._model)
        config |= self._described()
        for i, state in enumerate(self._states.values()):
            arrays |= {f"state.{i}.{name}": part for name, part in state.to_arrays().items()}
        config["own"], own = self._own.to_parts()
        arrays |= {f"own.{name}": part for name, part in own.items()}
        config["known"] = None
        if self._known is not None:
            config["known"], own = self._known.to_parts()
            arrays |= {f"known.{name}": part for name, part in own.items()}
        return config, arrays

    @classmethod
    def _from_parts(cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self = cls(**config["params"])
        self._model = model_from_arrays(config, arrays)
        self._own = OwnModels.from_parts(config["own"], under("own.", arrays), self._model)
        self.horizon_ = self._model.linear.horizon
        self.season_ = self._model.linear.seasons
        self._recall(config, len(self._model.linear.start))
        self._end_ns = dict(config["ends"])
        self._seen = self._growth = self._known = None
        if config.get("known") is not None:
            parts = under("known.", arrays)
            self._known = KnownFuture.from_parts(config["known"], parts, self.n_features_in_)
        self._states = {
            name: self._reader.restored(under(f"state.{i}.", arrays))
            for i, name in enumerate(config["assets"])
        }
        return self
