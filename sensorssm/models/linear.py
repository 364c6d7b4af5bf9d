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


@dataclass(frozen=True)
class Bases:
    """The plain forecasts that a readout may start from: level, last reading, last seasons.

    Parameters
    ----------
    seasons : in steps
    horizon : H, in steps
    last_column : the feature that holds the last reading minus the level
    ring : slots of the unrolled past, see `Features.recent`
    """

    seasons: tuple[int, ...]
    horizon: int
    last_column: int
    ring: int

    @property
    def count(self) -> int:
        """Return the number of bases."""
        return SEASON + len(self.seasons)

    def offset(self, base: int, features: Features, tag: int) -> FloatArray:
        """Return a base forecast minus the level, (k, H), of one tag after k rows."""
        if base >= SEASON:
            return self._repeat(base, self.seasonal(base, features, tag))
        rows = features.z.shape[1]
        last = features.z[tag, :, self.last_column] if base == LAST else np.zeros(rows)
        return np.repeat(last[:, None], self.horizon, axis=1)

    def seasonal(self, base: int, features: Features, tag: int) -> FloatArray:
        """Return one season of a seasonal base minus the level, (k, at most H)."""
        first = self.ring - self.seasons[base - SEASON]
        season = features.recent[:, tag, first : first + self.horizon]
        return season - features.level[:, tag, None]

    def products(self, base: int, zz: FloatArray, zy: FloatArray) -> FloatArray:
        """Return z' (y - base), (..., F, H), from what `Sums` keep for all bases at once.

        The columns of `zy` are y minus the level, then one season of each seasonal base; the
        product with the last reading is a column of `zz`.
        """
        own = zy[..., : self.horizon]
        if base == LAST:
            return own - zz[..., :, self.last_column, None]
        if base >= SEASON:
            widths = [min(season, self.horizon) for season in self.seasons]
            first = self.horizon + sum(widths[: base - SEASON])
            return own - self._repeat(base, zy[..., first : first + widths[base - SEASON]])
        return own

    def _repeat(self, base: int, season: FloatArray) -> FloatArray:
        steps = np.arange(self.horizon) % self.seasons[base - SEASON]
        return season[..., steps]


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

    def trust(self, values: FloatArray, elapsed: FloatArray) -> FloatArray:
        """Return the weight (n, M), 0 to 1, with which the memory takes in each reading of a record."""
        if self.gate is None:
            return np.isfinite(values).astype(np.float64)
        return self.memory.trust(values, elapsed, self.memory.init_state(self.start), self.gate)

    def plain(self, horizon: int) -> Bases:
        """Return the bases over `horizon` steps."""
        return Bases(self.seasons, horizon, self.memory.last_column, self.memory.ring)

    def forecast(self, features: Features, horizon: int) -> FloatArray:
        """Return the forecasts (k, H, M) that follow k rows, in each tag's unit."""
        tags, rows = features.z.shape[:2]
        out = np.empty((rows, horizon, tags))
        for tag in range(tags):
            out[:, :, tag] = self.forecast_tag(features, tag, horizon)
        return out

    def forecast_tag(self, features: Features, tag: int, horizon: int) -> FloatArray:
        """Return the forecasts (k, H) of one tag."""
        told = features.z[tag] @ self.weights[tag, :, :horizon].astype(np.float64)
        told += features.level[:, tag, None]
        base = int(self.bases[tag])
        if base != LEVEL:
            told += self.plain(horizon).offset(base, features, tag)
        return told
