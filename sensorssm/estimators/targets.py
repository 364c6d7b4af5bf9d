"""What a forecast is judged against while it is learned: the readings after each row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# A reading this near (in steps) on a jittered clock stands for the step it is asked for.
NEXT_DOOR = 1.5


@dataclass(frozen=True)
class Targets:
    """The readings of one asset on the grid that starts at each row.

    values : (n, M), NaN where missing; position : (n,) steps since the first row; bridge : readings
    at most this many steps apart have known steps between them, on the line.
    """

    values: FloatArray
    position: FloatArray
    bridge: float

    @classmethod
    def of(cls, values: FloatArray, elapsed: FloatArray, bridge: float = NEXT_DOOR) -> Targets:
        """Return the targets of rows that are `elapsed` (n,) steps apart."""
        position = np.concatenate([[0.0], np.cumsum(elapsed[1:])])
        targets = cls(values, position, bridge)
        if targets.regular and bridge >= 2 and np.isnan(values).any():
            tags = range(values.shape[1])
            bridged = np.stack([targets._between(position, tag) for tag in tags], axis=1)
            return cls(bridged, position, bridge)
        return targets

    @property
    def regular(self) -> bool:
        """Say whether every row is one step after the row before."""
        return bool(np.all(np.diff(self.position) == 1.0))

    def origins(self, horizon: int) -> int:
        """Return how many rows, from the first, have the whole horizon behind them."""
        end = self.position[-1] - horizon
        return int(np.searchsorted(self.position, end, side="right"))

    def after(self, rows: IntArray, horizon: int, tag: int) -> FloatArray:
        """Return what was read 1..H steps after `rows`, (k, H), NaN where unknown."""
        if self.regular:
            padded = np.concatenate([self.values[:, tag], np.full(horizon, np.nan)])
            return sliding_window_view(padded, horizon)[rows + 1]
        return self._between(self.position[rows, None] + np.arange(1, horizon + 1), tag)

    def after_all(self, rows: IntArray, horizon: int) -> FloatArray:
        """Return `after` of every tag, (k, H, M)."""
        tags = range(self.values.shape[1])
        return np.stack([self.after(rows, horizon, tag) for tag in tags], axis=-1)

    def _between(self, at: FloatArray, tag: int) -> FloatArray:
        """Read off the line between the two readings around each position."""
        seen = np.flatnonzero(np.isfinite(self.values[:, tag]))
        if len(seen) == 0:
            return np.full(at.shape, np.nan)
        position, values = self.position[seen], self.values[seen, tag]
        right = np.searchsorted(position, at)
        left = np.maximum(right - 1, 0)
        right = np.minimum(right, len(seen) - 1)
        wide = position[right] - position[left] > self.bridge
        outside = (at > position[-1]) | (at < position[0])
        exact = position[right] == at
        unknown = (wide & ~exact) | outside
        return np.where(unknown, np.nan, np.interp(at, position, values))
