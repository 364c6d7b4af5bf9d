"""A fitted linear forecast: a memory, a base such as the last value, and readout weights on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensorssm.models.memory import Features, Gate, Memory

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Bases by code; `SEASON + i` repeats season i.
LEVEL: Final = 0
LAST: Final = 1
SEASON: Final = 2


def base_offset(
    base: int, features: Features, tag: int, memory: Memory, seasons: tuple[int, ...], horizon: int
) -> FloatArray:
    """Return a base forecast minus the level, (k, H), of one tag after k rows."""
    level = features.level[:, tag, None]
    if base == LEVEL:
        return np.zeros((len(level), horizon))
    if base == LAST:
        last = features.z[tag, :, memory.last_column]
        return np.repeat(last[:, None], horizon, axis=1)
    season = seasons[base - SEASON]
    steps = np.arange(horizon) % season + (memory.ring - season)
    return features.recent[:, tag, steps] - level


@dataclass(frozen=True)
class LinearForecast:
    """The forecast of every tag is its base plus a linear readout of its memory.

    Attributes
    ----------
    weights : (M, F, H) float32, as they are saved
    bases : (M,) the base of each tag, see `base_offset`
    """

    memory: Memory
    seasons: tuple[int, ...]
    weights: NDArray[np.float32]
    bases: IntArray
    start: FloatArray
    gate: Gate | None = None

    @property
    def horizon(self) -> int:
        """Return H, the steps a forecast has."""
        return self.weights.shape[2]

    def forecast(self, features: Features, horizon: int) -> FloatArray:
        """Return the forecasts (k, H, M) that follow k rows, in each tag's unit."""
        tags, rows = features.z.shape[:2]
        out = np.empty((rows, horizon, tags))
        for tag in range(tags):
            readout = features.z[tag] @ self.weights[tag, :, :horizon].astype(np.float64)
            readout += features.level[:, tag, None]
            base = int(self.bases[tag])
            if base != LEVEL:
                readout += base_offset(base, features, tag, self.memory, self.seasons, horizon)
            out[:, :, tag] = readout
        return out
