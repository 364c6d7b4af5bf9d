"""Which tag tells the operating mode: named by the user, found, or read from a model folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ConfigError, ModelFileError, UnknownTagError
from sensorssm.scoring import Modes, find_mode_tag, fit_modes

FloatArray = NDArray[np.float64]

AUTO = "auto"
MOST = 8  # modes; a tag of more values is a measurement
PARTS = ("values", "trust", "knots", "levels", "slope")


def modes_of(
    wanted: str | None, tags: tuple[str, ...], values: FloatArray, held_back: FloatArray
) -> Modes | None:
    """Return the calibrations by mode, from held-back scores (n,) of `values` (n, M).

    Raises
    ------
    UnknownTagError, ConfigError : no such tag; a tag of one value or of more than 8, or no name
    """
    if wanted is None:
        return None
    if not isinstance(wanted, str):
        raise ConfigError(f"modes={wanted!r}, wanted the name of a tag, {AUTO!r} or None")
    if wanted == AUTO:
        found = find_mode_tag(values, held_back)
        return None if found is None else fit_modes(values, held_back, found)
    if wanted not in tags:
        raise UnknownTagError.for_tag(wanted, tags)
    tag = tags.index(wanted)
    count = len(np.unique(values[np.isfinite(values[:, tag]), tag]))
    if not 2 <= count <= MOST:
        raise ConfigError(
            f"tag {wanted!r} has {count} values in training, wanted 2 to {MOST}: the operating "
            "modes. Round a measurement to such values first, or leave `modes` out."
        )
    return fit_modes(values, held_back, tag)


def load_modes(tag: Any, arrays: Mapping[str, NDArray[Any]], tags: int) -> Modes | None:
    """Return the modes of a model folder, checked; None where it has none.

    Raises
    ------
    ModelFileError : a tag that the model does not have, or arrays that do not fit together
    """
    if tag is None:
        return None
    if isinstance(tag, bool) or not isinstance(tag, int) or not 0 <= tag < tags:
        raise ModelFileError(f"mode_tag is {tag!r}, wanted the number of one of {tags} tags")
    modes = Modes(tag, *(arrays[f"mode_{name}"] for name in PARTS))
    rows, knots = len(modes.values), modes.knots.shape[-1]
    shapes = {"trust": (rows,), "slope": (rows,), "knots": (rows, knots), "levels": (rows, knots)}
    for name, shape in shapes.items():
        array = getattr(modes, name)
        if array.shape != shape or array.dtype != np.float64:
            raise ModelFileError(f"mode_{name} is {array.dtype} {array.shape}, wanted {shape}")
    return modes
