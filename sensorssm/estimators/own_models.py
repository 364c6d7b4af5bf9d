"""The models of a fleet: one that all assets share, and those of assets that have their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ModelFileError
from sensorssm.estimators.forecast_model import ForecastModel
from sensorssm.models.linear import continued

Weights = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class OwnModels:
    """Models that differ from the shared one in their readout weights alone, by asset.

    Attributes
    ----------
    models, gain : by asset, the model, and the share of the held-back squared error that it took
        off the asset's
    """

    models: dict[str, ForecastModel] = field(default_factory=dict)
    gain: dict[str, float] = field(default_factory=dict)

    def of(self, asset: str, shared: ForecastModel) -> ForecastModel:
        """Return the model of one asset; `shared` where it has none of its own."""
        return self.models.get(asset, shared)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings, ready for JSON, and arrays."""
        weights = {str(i): one.linear.weights for i, one in enumerate(self.models.values())}
        return {"assets": list(self.models), "gain": list(self.gain.values())}, weights

    @classmethod
    def from_parts(cls, config: Mapping[str, Any], arrays: Arrays, shared: ForecastModel) -> Self:
        """Return what `to_parts` took apart.

        Raises
        ------
        ModelFileError : arrays whose shapes do not fit together.
        """
        models, wanted = {}, shared.linear.weights.shape
        for i, asset in enumerate(config["assets"]):
            found = arrays[str(i)]
            if found.shape != wanted or found.dtype != np.float32:
                raise ModelFileError(
                    f"the readout of asset {asset!r} is {found.dtype} {found.shape}, wanted "
                    f"float32 {wanted}"
                )
            models[str(asset)] = reweighed(shared, found)
        return cls(models, dict(zip(models, map(float, config["gain"]), strict=True)))


def reweighed(shared: ForecastModel, weights: Weights) -> ForecastModel:
    """Return a model with other readout weights, continued over its horizon."""
    linear = shared.linear
    longer = continued(weights, linear.horizon, linear.seasons)
    return ForecastModel(
        replace(linear, weights=longer), shared.reach, shared.conformal, shared.correction
    )
