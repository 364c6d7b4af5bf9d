"""The door for saved states: named arrays that fit the model, in values that readings leave behind.

A state goes into compiled loops that trust it, so what a damaged or hostile file holds must stop
here, by name, and not turn into a forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ModelFileError
from sensorssm.models.memory import LEVEL_WEIGHT, SLOT, SPREADS, STRANGE_RUN, WAITED

Arrays = Mapping[str, NDArray[Any]]

LAST_SLOT = 2.0**53  # beyond it a float64 no longer counts single slots
_WIDEST = 50.0  # logarithm; intervals e^50 times as wide as fitted say nothing


def checked_parts(arrays: Arrays, like: Arrays) -> dict[str, NDArray[Any]]:
    """Return copies of the named arrays, of the shapes and types of those in `like`.

    Raises
    ------
    ModelFileError : a part is missing, or of another shape or type.
    """
    own = {}
    for name, part in like.items():
        found = arrays.get(name)
        if found is None or found.shape != part.shape or found.dtype != part.dtype:
            held = None if found is None else f"{found.dtype} {found.shape}"
            raise ModelFileError(
                f"state part {name!r} has shape {held}, this model wants {part.dtype} "
                f"{part.shape}. Restore a snapshot of the same model."
            )
        own[name] = found.copy()
    return own


def refuse_impossible(parts: Arrays) -> None:
    """Raise ModelFileError where parts of an `AssetState` hold what no reading leaves behind."""
    for name, part in parts.items():
        is_finite = part.dtype.kind != "f" or bool(np.isfinite(part).all())
        if not (is_finite and _POSSIBLE.get(name, _anything)(part)):
            raise ModelFileError(
                f"state part {name!r} holds values that no reading leaves behind. The snapshot is "
                "damaged: restore a copy, or start anew."
            )


def _anything(part: NDArray[Any]) -> bool:
    return True


def _is_clock(part: NDArray[Any]) -> bool:
    return bool(np.all((part >= -1) & (part < LAST_SLOT)) and part[1] == np.floor(part[1]))


def _is_slow(part: NDArray[Any]) -> bool:
    counted = part[:, [STRANGE_RUN, WAITED, *range(SPREADS, part.shape[1])]]
    weighed = np.all(part[:, LEVEL_WEIGHT] > 0)
    return bool(weighed and np.all(counted >= 0) and _are_slots(part[:, SLOT]))


def _are_slots(part: NDArray[Any]) -> bool:
    return bool(np.all((part >= -1) & (part < LAST_SLOT) & (part == np.floor(part))))


_POSSIBLE: dict[str, Callable[[NDArray[Any]], bool]] = {
    "clock": _is_clock,
    "slow": _is_slow,
    "slots": _are_slots,
    "moved": _are_slots,
    "scales": lambda part: bool(np.all(part >= 0)),
    "width": lambda part: bool(np.all(np.abs(part) <= _WIDEST)),
}
