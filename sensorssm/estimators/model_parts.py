"""A `ForecastModel` taken apart into plain numbers and arrays, and put together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ModelFileError
from sensorssm.estimators.forecast_model import ForecastModel
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Gate, Memory
from sensorssm.models.reach import Reach
from sensorssm.scoring.conformal import LEVELS, Conformal
from sensorssm.scoring.dispersion import WAYS, Dispersion

MOST_SLOTS = 10_000_000  # of one ring: a hostile file must not ask for all the memory
DISPERSION = tuple(field.name for field in fields(Dispersion))

Arrays = Mapping[str, NDArray[Any]]


def model_to_arrays(model: ForecastModel) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the settings, ready for JSON, and the arrays of `model`."""
    linear, memory = model.linear, model.linear.memory
    config = {
        "seasons": list(linear.seasons),
        "oscillating": memory.oscillating,
        "level_tau": memory.level_tau,
        "lags": memory.lags,
        "ring": memory.ring,
        "gate": None if linear.gate is None else [linear.gate.width, linear.gate.patience],
    }
    arrays = {
        "tau": memory.tau,
        "frequency": memory.frequency,
        "weights": linear.weights,
        "bases": linear.bases,
        "start": linear.start,
        "spread_tau": memory.spread_tau,
        "reach.usual": model.reach.usual,
    }
    arrays |= conformal_to_arrays(model.conformal)
    if linear.gate is not None:
        arrays["gate_weights"] = linear.gate.weights
    config["correction"] = None
    if model.correction is not None:
        config["correction"], own = model.correction.to_parts()
        arrays |= own
    return config, arrays


def model_from_arrays(config: Mapping[str, Any], arrays: Arrays) -> ForecastModel:
    """Return the model of `model_to_arrays`' parts.

    Raises
    ------
    ModelFileError : arrays whose shapes do not fit together.
    """
    memory = Memory(
        tau=arrays["tau"],
        frequency=arrays["frequency"],
        oscillating=int(config["oscillating"]),
        level_tau=float(config["level_tau"]),
        spread_tau=arrays["spread_tau"],
        lags=int(config["lags"]),
        ring=int(config["ring"]),
    )
    seasons = tuple(int(season) for season in config["seasons"])
    tags, horizon = len(arrays["start"]), arrays["weights"].shape[-1]
    _check_sizes(memory, seasons)
    wanted = {
        "frequency": memory.tau.shape,
        "weights": (tags, memory.feature_count, horizon),
        "bases": (tags, len(seasons)),
        "reach.usual": (3, tags, len(arrays["dispersion.knots"])),
    }
    gate = None
    if config["gate"] is not None:
        wanted["gate_weights"] = (tags, memory.feature_count)
        width, patience = config["gate"]
        gate = Gate(arrays["gate_weights"], float(width), int(patience))
    _check_shapes(arrays, wanted)
    spreads = len(memory.spread_tau)
    conformal = conformal_from_arrays(arrays, tags, spreads, horizon)
    linear = LinearForecast(
        memory, seasons, arrays["weights"], arrays["bases"], arrays["start"], gate
    )
    correction = None
    if config["correction"] is not None:
        from sensorssm.estimators.selective_memory import Correction  # compiles its cell

        correction = Correction.from_parts(config["correction"], arrays, linear)
    reach = Reach(conformal.dispersion.knots, arrays["reach.usual"])
    return ForecastModel(linear, reach, conformal, correction)


def conformal_to_arrays(conformal: Conformal) -> dict[str, NDArray[Any]]:
    """Return the arrays of `conformal`."""
    scale = {f"dispersion.{name}": getattr(conformal.dispersion, name) for name in DISPERSION}
    return {"offsets": conformal.offsets, **scale}


def conformal_from_arrays(arrays: Arrays, tags: int, spreads: int, horizon: int) -> Conformal:
    """Return what `conformal_to_arrays` took apart.

    Raises
    ------
    ModelFileError : arrays whose shapes do not fit together.
    """
    knots = arrays["dispersion.knots"]
    if knots.ndim != 1 or len(knots) == 0 or knots.min() < 1 or knots.max() > horizon:
        raise ModelFileError(f"knots {knots}, wanted steps from 1 to {horizon}")
    wanted = {
        "offsets": (tags, horizon, len(LEVELS)),
        "dispersion.floor": (tags, spreads),
        "dispersion.way": (tags,),
        "dispersion.usual": (tags, spreads + WAYS),
        "dispersion.typical": (tags, len(knots)),
        "dispersion.weights": (tags, spreads + WAYS),
        "dispersion.tilt": (tags,),
    }
    _check_shapes(arrays, wanted)
    dispersion = Dispersion(*(arrays[f"dispersion.{name}"] for name in DISPERSION))
    return Conformal(arrays["offsets"], dispersion)


def _check_shapes(arrays: Arrays, wanted: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ModelFileError(f"tensor {name!r} has shape {arrays[name].shape}, wanted {shape}")


def _check_sizes(memory: Memory, seasons: tuple[int, ...]) -> None:
    """Refuse numbers that would send the compiled loops outside their arrays."""
    fits = (
        0 <= memory.oscillating <= len(memory.tau)
        and 1 <= memory.lags <= memory.ring <= MOST_SLOTS
        and all(1 <= season <= memory.ring for season in seasons)
        and memory.tau.ndim == 1
        and np.all(memory.tau > 0)
        and 0 < memory.level_tau < np.inf
        and memory.spread_tau.ndim == 1
        and np.all(memory.spread_tau > 0)
    )
    if not fits:
        raise ModelFileError(
            f"the memory's sizes do not fit: {len(memory.tau)} poles, {memory.oscillating} of them "
            f"turning, {memory.lags} lags, ring {memory.ring}, seasons {seasons}"
        )
