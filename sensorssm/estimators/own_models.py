"""The models of a fleet: one that all assets share, and those of assets that have their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ConfigError, ModelFileError
from sensorssm.estimators.bending import StaticEffect
from sensorssm.estimators.forecast_model import ForecastModel
from sensorssm.estimators.static_table import StaticTable
from sensorssm.models.linear import continued

Weights = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]

_EFFECT = tuple(one.name for one in fields(StaticEffect) if one.name != "gain")


@dataclass(frozen=True)
class OwnModels:
    """Models that differ from the shared one in their readout weights alone, by asset.

    Attributes
    ----------
    models, gain : by asset, the model, and the share of the held-back squared error that it took
        off the asset's
    table, effect : the numbers of assets that never change, and what they say of a readout; None
        where none were given, or where they did not help
    """

    models: dict[str, ForecastModel] = field(default_factory=dict)
    gain: dict[str, float] = field(default_factory=dict)
    table: StaticTable | None = None
    effect: StaticEffect | None = None

    def of(self, asset: str, shared: ForecastModel) -> ForecastModel:
        """Return the model of one asset: its own, the one for its numbers, else `shared`."""
        if asset in self.models or self.effect is None or self.table is None:
            return self.models.get(asset, shared)
        numbers = self.table.numbers.get(asset)
        if numbers is None:
            return shared
        return reweighed(shared, self.effect.bend(shared.linear, numbers).weights)

    def introduced(self, static: Any) -> OwnModels:
        """Return the models with the numbers of further assets.

        Raises
        ------
        ConfigError : a fit without such numbers
        DataError : as `StaticTable.read`
        """
        if self.table is None:
            raise ConfigError("the model was fitted without static. Fit with static.")
        return replace(self, table=self.table.joined(StaticTable.read(static, self.table.names)))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings, ready for JSON, and arrays."""
        config: dict[str, Any] = {"assets": list(self.models), "gain": list(self.gain.values())}
        arrays = {str(i): one.linear.weights for i, one in enumerate(self.models.values())}
        config["static"] = None
        if self.table is not None:
            numbers = {asset: own.tolist() for asset, own in self.table.numbers.items()}
            gain = None if self.effect is None else self.effect.gain
            config["static"] = {"names": list(self.table.names), "numbers": numbers, "gain": gain}
        if self.effect is not None:
            arrays |= {f"static.{name}": getattr(self.effect, name) for name in _EFFECT}
        return config, arrays

    @classmethod
    def from_parts(cls, config: Mapping[str, Any], arrays: Arrays, shared: ForecastModel) -> Self:
        """Return what `to_parts` took apart.

        Raises
        ------
        ModelFileError : arrays whose shapes do not fit together.
        """
        models, wanted = {}, shared.linear.weights.shape
        for i, asset in enumerate(config["assets"]):
            _check_shape(f"the readout of asset {asset!r}", arrays[str(i)], wanted)
            models[str(asset)] = reweighed(shared, arrays[str(i)])
        gain = dict(zip(models, map(float, config["gain"]), strict=True))
        static = config["static"]
        if static is None:
            return cls(models, gain)
        names = tuple(map(str, static["names"]))
        named = {a: dict(zip(names, own, strict=True)) for a, own in static["numbers"].items()}
        table = StaticTable.read(named, names)
        if static["gain"] is None:
            return cls(models, gain, table)
        return cls(models, gain, table, _effect(arrays, len(names), float(static["gain"]), wanted))


def _effect(arrays: Arrays, count: int, gain: float, weights: tuple[int, ...]) -> StaticEffect:
    parts = {name: arrays[f"static.{name}"] for name in _EFFECT}
    horizon = parts["weights"].shape[-1]
    for name, part in parts.items():
        if name != "weights" and part.shape != (count,):
            raise ModelFileError(f"static {name} has shape {part.shape}, wanted ({count},)")
    _check_shape("the static effect", parts["weights"], (count, *weights[:2], horizon))
    if horizon > weights[2] or not (parts["spread"] > 0).all():
        raise ModelFileError(f"the static effect has {horizon} steps, or spreads not above 0")
    return StaticEffect(**parts, gain=gain)


def _check_shape(what: str, found: NDArray[Any], wanted: tuple[int, ...]) -> None:
    if found.shape != wanted or found.dtype != np.float32:
        raise ModelFileError(f"{what} is {found.dtype} {found.shape}, wanted float32 {wanted}")


def reweighed(shared: ForecastModel, weights: Weights) -> ForecastModel:
    """Return a model with other readout weights, continued over its horizon."""
    linear = shared.linear
    longer = continued(weights, linear.horizon, linear.seasons)
    return ForecastModel(
        replace(linear, weights=longer), shared.reach, shared.conformal, shared.correction
    )
