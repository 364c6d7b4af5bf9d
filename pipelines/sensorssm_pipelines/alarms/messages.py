"""What an alarm says: which tag, what it read, what was expected, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorssm.names import unit_sign

_ALONE = 0.6  # share of the blame from which one tag stands alone


@dataclass(frozen=True)
class TagFacts:
    """A tag's name and unit, and what its owner wants done when it stands out."""

    name: str
    unit: str = ""
    action: str = ""


def describe(
    tags: Sequence[TagFacts],
    first: int,
    values: NDArray[np.float64],
    expected: NDArray[np.float64],
    blame: NDArray[np.float64],
) -> str:
    """Return one line for the operator; `first` is the tag that moved first, arrays are (M,)."""
    tag = tags[first]
    seen = "has no reading" if np.isnan(values[first]) else f"reads {_in_unit(values[first], tag)}"
    return (
        f"{tag.name} {seen}, expected {_in_unit(expected[first], tag)}. {_next(tags, first, blame)}"
    )


def _next(tags: Sequence[TagFacts], first: int, blame: NDArray[np.float64]) -> str:
    """Return what to do: the owner's word, or where to look, by whether one tag stands alone."""
    if tags[first].action:
        return tags[first].action
    total = float(blame.sum())
    if total <= 0 or blame[first] >= _ALONE * total:
        return "No other tag explains it: check its transmitter first, then the equipment."
    others = [i for i in np.argsort(-blame, kind="stable") if i != first and blame[i] > 0][:2]
    names = " and ".join(tags[i].name for i in others)
    return f"It moved together with {names}: check the equipment they share."


def _in_unit(value: float, tag: TagFacts) -> str:
    return f"{value:.4g} {unit_sign(tag.unit)}".rstrip()
