"""What a network is taught from: the rows of all assets as one series, and what follows each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorssm.estimators.learning import Series
from sensorssm.estimators.network_fold import MISSING, steps_between, to_network
from sensorssm.estimators.scale import Scale
from sensorssm.estimators.targets import Targets

IntArray = NDArray[np.int64]


class NetworkLesson:
    """All assets' rows as one series: what is read, what is to be told, and from which rows.

    Everything is in spreads of its own asset, so that a small machine teaches as much as a large
    one.

    Attributes
    ----------
    inputs : Tensor, shape (M, n), what the network reads
    elapsed : Tensor, shape (1, n), or None where rows are even
    starts : array of int, each asset's first row
    taught, held_back : array of int, the rows to learn from and to judge by
    """

    def __init__(self, series: Sequence[Series], scales: Sequence[Scale], horizon: int) -> None:
        self.horizon = horizon
        pairs = list(zip(series, scales, strict=True))
        self.inputs = torch.cat([to_network(own.values, scale) for own, scale in pairs], dim=1)
        self.elapsed = steps_between(np.concatenate([own.elapsed for own in series]))
        self.starts = np.cumsum([0, *(len(own.values) for own in series[:-1])])
        self._told = [Targets.of(scale.strip(own.values), own.elapsed) for own, scale in pairs]
        self._taught = [
            Targets.of(scale.strip(own.values[: own.trained]), own.elapsed[: own.trained])
            for own, scale in pairs
        ]
        spans = list(zip(self.starts, series, strict=True))
        # The last row that is learned from has nothing after it yet; the first to judge is that.
        self.taught = np.concatenate([at + np.arange(own.trained - 1) for at, own in spans])
        judging = [at + np.arange(own.trained - 1, len(own.values) - 1) for at, own in spans]
        self.held_back = np.concatenate(judging)

    @property
    def records(self) -> list[tuple[int, int]]:
        """The first row of each asset and the row after its last."""
        ends = [*self.starts[1:], self.inputs.shape[1]]
        return [(int(low), int(high)) for low, high in zip(self.starts, ends, strict=True)]

    def assets_of(self, rows: IntArray | Tensor) -> IntArray:
        """Return which asset each row is of, counted from 0."""
        return np.searchsorted(self.starts, np.asarray(rows), side="right") - 1

    def told(self, rows: IntArray) -> Tensor:
        """Return what follows held-back `rows`, (k, M, H), NaN where unknown."""
        asset = self.assets_of(rows)
        parts = [
            targets.after_all(rows[asset == i] - self.starts[i], self.horizon)
            for i, targets in enumerate(self._told)
        ]
        return torch.from_numpy(np.concatenate(parts).swapaxes(1, 2).astype(np.float32))

    def taught_after(self, rows: IntArray, tag: int) -> Tensor:
        """Return what a tag read after `rows` of one asset, (k, H), NaN where held back."""
        i = int(self.assets_of(rows[:1])[0])
        after = self._taught[i].after(rows - self.starts[i], self.horizon, tag)
        return torch.from_numpy(after.astype(np.float32))

    def with_lags(self, rows: Tensor, tags: Tensor, lags: int) -> Tensor:
        """Return the readings (B, lags + L) of segments (B, L) and of the rows just before them."""
        start = torch.as_tensor(self.starts[self.assets_of(rows[:, :1])])
        before = rows[:, :1] + torch.arange(-lags, 0)
        read = self.inputs[tags[:, None], torch.cat([torch.maximum(before, start), rows], dim=1)]
        read[:, :lags].masked_fill_(before < start, MISSING)
        return read
