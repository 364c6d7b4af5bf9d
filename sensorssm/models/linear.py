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

    @property
    def origins(self) -> list[int]:
        """Return the bases that are not weights on the features: the level and the seasons."""
        return [LEVEL, *range(SEASON, self.count)]

    def origin(self, base: int) -> int:
        """Return the place among the origins of what the weights of a base are added to."""
        return base - LAST if base >= SEASON else 0

    def offset(self, base: int, features: Features, tag: int) -> FloatArray:
        """Return a seasonal base minus the level, (k, H), of one tag after k rows."""
        return self._repeat(base, self.seasonal(base, features, tag))

    def seasonal(self, base: int, features: Features, tag: int) -> FloatArray:
        """Return one season of a seasonal base minus the level, (k, at most H)."""
        first = self.ring - self.seasons[base - SEASON]
        season = features.recent[:, tag, first : first + self.horizon]
        return season - features.level[:, tag, None]

    def products(self, base: int, zy: FloatArray) -> FloatArray:
        """Return z' (y - origin), (..., F, H), from what `Sums` keep for all origins at once.

        The columns of `zy` are y minus the level, then one season of each seasonal base.
        """
        own = zy[..., : self.horizon]
        if base == LEVEL:
            return own
        widths = [min(season, self.horizon) for season in self.seasons]
        first = self.horizon + sum(widths[: base - SEASON])
        return own - self._repeat(base, zy[..., first : first + widths[base - SEASON]])

    def _repeat(self, base: int, season: FloatArray) -> FloatArray:
        steps = np.arange(self.horizon) % self.seasons[base - SEASON]
        return season[..., steps]


@dataclass(frozen=True)
class LinearForecast:
    """The forecast of every tag is its base plus a linear readout of its memory.

    Attributes
    ----------
    weights : (M, F, H) float32, as they are saved
    bases : (M, S) float32, the share of each last season in the base; the level has the rest
    """

    memory: Memory
    seasons: tuple[int, ...]
    weights: NDArray[np.float32]
    bases: NDArray[np.float32]
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
        """Return the forecasts (k, H) of one tag.

        They are made from its last reading; where the row came later, so do their steps.
        """
        waited = features.waited[:, tag]
        if not waited.any():
            return self._path(features, tag, horizon)
        ahead = waited[:, None].astype(np.int64) + np.arange(horizon)
        steps = along(ahead, self.horizon, self.seasons)
        path = self._path(features, tag, min(int(ahead.max()) + 1, self.horizon))
        return np.take_along_axis(path, steps, axis=1)

    def _path(self, features: Features, tag: int, steps: int) -> FloatArray:
        """Return what follows the last reading, (k, steps)."""
        told = features.z[tag] @ self.weights[tag, :, :steps].astype(np.float64)
        told += features.level[:, tag, None]
        plain = self.plain(steps)
        for i in np.flatnonzero(self.bases[tag]):
            told += float(self.bases[tag, i]) * plain.offset(SEASON + int(i), features, tag)
        return told


def along(steps: IntArray, fitted: int, seasons: tuple[int, ...]) -> IntArray:
    """Return where on a path of `fitted` steps each of `steps` lies, both counted from 0.

    Beyond its end goes on what it says last: its last season where it has one, else its last step.
    """
    back = max((season for season in seasons if season <= fitted), default=1)
    return np.where(steps < fitted, steps, fitted - back + (steps - fitted) % back)


def continued(
    weights: NDArray[np.float32], horizon: int, seasons: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return weights (M, F, H') over a longer `horizon`, which say `along` it what they said last."""
    steps = along(np.arange(horizon), weights.shape[2], seasons)
    # As a saved model is read: products of another layout round otherwise in the last bit.
    return np.ascontiguousarray(weights[:, :, steps])
