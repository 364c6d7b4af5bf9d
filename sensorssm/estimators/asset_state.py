"""All that is remembered of one asset between two readings, as named arrays that can be saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sensorssm.estimators.state_parts import checked_parts, refuse_impossible
from sensorssm.models.memory import MemoryState
from sensorssm.models.reach import ReachState
from sensorssm.scoring.conformal import TrackerState

_SELECTIVE = "selective."


@dataclass
class AssetState:
    """All that is remembered of one asset; `selective` is empty without a correction."""

    memory: MemoryState
    reach: ReachState
    tracker: TrackerState
    selective: dict[str, NDArray[Any]]

    def copy(self) -> AssetState:
        """Return a state that shares nothing with this one."""
        selective = {name: part.copy() for name, part in self.selective.items()}
        return AssetState(self.memory.copy(), self.reach.copy(), self.tracker.copy(), selective)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the parts by name, not copied."""
        parts = self.memory._asdict() | self.reach._asdict() | self.tracker._asdict()
        return parts | {_SELECTIVE + name: part for name, part in self.selective.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], like: AssetState) -> AssetState:
        """Return the state of named parts whose shapes are those of `like`.

        Raises
        ------
        ModelFileError : a part is missing, of another shape or type, or impossible.
        """
        own = checked_parts(arrays, like.to_arrays())
        refuse_impossible(own)
        return cls(
            MemoryState(*(own[name] for name in MemoryState._fields)),
            ReachState(*(own[name] for name in ReachState._fields)),
            TrackerState(*(own[name] for name in TrackerState._fields)),
            {name: own[_SELECTIVE + name] for name in like.selective},
        )
