"""What a correction reads of past rows, and what forecasts left there that had not seen them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.attempt import Attempt
from sensorssm.estimators.learning import Series, chunks, row_floats
from sensorssm.estimators.selective_memory import Correction
from sensorssm.estimators.targets import Targets
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Inputs = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """What a correction reads of one asset, where each row's forecast had not seen what came next.

    `linears` are forecasts by block, `block` (n,) is that of each row; the others are `linear`'s.
    """

    correction: Correction
    series: Series
    linear: LinearForecast
    linears: Mapping[int, LinearForecast]
    block: IntArray

    def after(self, rows: IntArray) -> Inputs:
        """Return the inputs (k, F) after increasing `rows`."""
        wanted = np.union1d(rows, np.maximum(rows - 1, 0))  # a surprise takes the row before
        before, parts = self.linear.start[None], []
        for at, features in _passes(self.linear, self.series, wanted):
            path = self._path(at, features)
            before = np.concatenate([before, path[:, :, 0]])
            read = self.correction.inputs(features, self.series.values[at], path, before[:-1])
            parts.append(read[np.isin(at, rows)])
            before = before[-1:]
        return np.concatenate(parts)

    def _path(self, rows: IntArray, features: Features) -> FloatArray:
        path = self.correction.path(self.linear)(features)
        for block, linear in self.linears.items():
            own = np.flatnonzero(self.block[rows] == block)
            path[own] = self.correction.path(linear)(features.at(own))
        return path


def _passes(
    linear: LinearForecast, series: Series, rows: IntArray
) -> Iterator[tuple[IntArray, Features]]:
    """Yield some of the increasing `rows` of one asset, and the features after them, in pieces."""
    memory = linear.memory
    state = memory.init_state(linear.start)
    for cut in chunks(len(series.values), row_floats(memory, series.values.shape[1], 0)):
        inside = rows[(rows >= cut.start) & (rows < cut.stop)]
        features = memory.advance(
            series.values[cut],
            series.elapsed[cut],
            state,
            rows=inside - cut.start,
            gate=linear.gate,
        )
        if len(inside):
            yield inside, features


@dataclass(frozen=True)
class HeldBack:
    """Residuals of the forecast at any rows of all assets, by weights that had not seen them: what
    a selective model is taught by and judged by. `moved` (n, K, M) is what is corrected already."""

    attempt: Attempt
    series: Sequence[Series]
    correction: Correction
    moved: FloatArray

    @property
    def block(self) -> IntArray:
        """Return the block (n,) of every row of all assets."""
        return np.concatenate(self.attempt.plans)

    @property
    def starts(self) -> IntArray:
        """Return the row where each asset begins."""
        return np.cumsum([0, *(len(one.values) for one in self.series[:-1])])

    def rows(self) -> tuple[IntArray, IntArray]:
        """Return the rows to learn from and, later, those to judge by."""
        blocks, block = self.attempt.linears, self.block
        judge = max(k for k in blocks if (block == k).any()) if blocks else 0
        known = np.isin(block, list(blocks))
        return np.flatnonzero(known & (block != judge)), np.flatnonzero(block == judge)

    def __call__(self, origins: NDArray[Any]) -> NDArray[np.float32]:
        """Return (k, H, M) residuals in sizes, NaN where a target is missing."""
        horizon, size = self.attempt.lesson.horizon, self.correction.size
        out = np.empty((len(origins), horizon, len(size)), np.float32)
        for asset, (start, one) in enumerate(zip(self.starts, self.series, strict=True)):
            linears = self.attempt.linears_of(asset)
            truth = Targets.of(one.values, one.elapsed)
            own = np.flatnonzero((origins >= start) & (origins < start + len(one.values)))
            for at, features in _passes(self.attempt.linear, one, np.unique(origins[own]) - start):
                told = self._told(linears, self.block[start + at], features)
                told = self.correction.add(told, self.moved[start + at])
                left = (truth.after_all(at, horizon) - told) / size
                wanted = own[np.isin(origins[own] - start, at)]
                out[wanted] = left[np.searchsorted(at, origins[wanted] - start)]
        return out

    def _told(
        self, linears: Mapping[int, LinearForecast], block: IntArray, features: Features
    ) -> FloatArray:
        """Return forecasts (k, H, M) by weights that had not seen the rows' blocks (k,)."""
        told = np.empty((len(block), self.attempt.lesson.horizon, len(self.correction.size)))
        for k in np.unique(block):
            own = np.flatnonzero(block == k)
            told[own] = linears[int(k)].forecast(features.at(own), told.shape[1])
        return told
