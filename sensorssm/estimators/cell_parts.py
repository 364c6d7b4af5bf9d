"""A detector's cell and modes as what a model folder holds: scalars by name, and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sensorssm.estimators.folder import Arrays
from sensorssm.estimators.mode_choice import load_modes
from sensorssm.scoring import Cell, Modes

SCALARS = {"lags": int} | dict.fromkeys(  # of the cell; the rest are arrays
    (
        "novelty", "shift_gain", "recent_gain", "reference_gain", "shift_limit", "quiet",
        "patience", "rows",
    ),
    float,
)  # fmt: skip


def to_parts(cell: Cell, modes: Modes | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scalars, as they stand in the folder's configuration, and the arrays."""
    arrays = cell._asdict()
    config: dict[str, Any] = {"cell": {name: arrays.pop(name) for name in SCALARS}}
    if modes is not None:
        mode = modes._asdict()
        config["mode_tag"] = mode.pop("tag")
        arrays |= {f"mode_{name}": array for name, array in mode.items()}
    return config, arrays


def from_parts(config: Mapping[str, Any], arrays: Arrays, tags: int) -> tuple[Cell, Modes | None]:
    """Return the cell and the modes of a model of so many tags, checked.

    Raises
    ------
    KeyError, TypeError, ValueError : a part is missing, or does not fit the others
    """
    fields: dict[str, Any] = {k: a for k, a in arrays.items() if not k.startswith("mode_")}
    fields |= {name: kind(config["cell"][name]) for name, kind in SCALARS.items()}
    cell = Cell(**fields)
    cell.check(tags)
    return cell, load_modes(config.get("mode_tag"), arrays, tags)
