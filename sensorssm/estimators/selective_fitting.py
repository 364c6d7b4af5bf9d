"""How a selective correction is learned: from residuals that the linear forecast had not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.config import ResidualConfig
from sensorssm.estimators.attempt import Attempt
from sensorssm.estimators.learning import Series, chunks, row_floats
from sensorssm.estimators.selective import SelectiveResidual
from sensorssm.estimators.selective_memory import Correction, State, log_spread
from sensorssm.estimators.targets import Targets
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def fit_correction(attempt: Attempt, series: Sequence[Series], seed: int) -> Correction | None:
    """Return a correction of the attempt's forecast, or None where it does not earn its place."""
    size = _usual_size(attempt)
    usual = log_spread(attempt.seen.spread, size).mean(axis=0)
    selective = SelectiveResidual(ResidualConfig(), seed)
    correction = Correction(selective, size, usual)
    held = _HeldBack(attempt, series, size)
    train, valid = held.rows()
    if len(train) == 0 or len(valid) == 0:
        return None
    selective.fit(
        np.concatenate(
            [_inputs(correction, attempt.linear_of(i), one) for i, one in enumerate(series)]
        ),
        held,
        train_rows=train,
        valid_rows=valid,
        starts=held.starts,
        horizon=attempt.lesson.horizon,
    )
    return correction if selective.kept_ else None


def _usual_size(attempt: Attempt) -> FloatArray:
    """Return the mean size (M,) of a tag's held-back residuals, in its unit; its standard deviation
    where none is known."""
    size = np.abs(attempt.residual)
    count = np.isfinite(size).sum(axis=(0, 1))
    # The mean, not the median: a set point stands still but for its jumps.
    mean = np.nansum(size, axis=(0, 1)) / np.maximum(count, 1)
    return np.where(count > 0, np.maximum(mean, 1e-6 * attempt.scale), attempt.scale)


def corrected(attempt: Attempt, series: Sequence[Series], correction: Correction) -> FloatArray:
    """Return the attempt's residuals (k, H, M) less what the correction adds."""
    residual, at = attempt.residual.copy(), 0
    for asset, (one, kept) in enumerate(zip(series, attempt.kept, strict=True)):
        path = correction.path(attempt.linear_of(asset))
        state = correction.start(attempt.linear.start)
        for cut, features in _passes(attempt.linear, one):
            coefficients = correction.read(features, one.values[cut], path(features), state)
            inside = kept[(kept >= cut.start) & (kept < cut.stop)] - cut.start
            rows = slice(at, at + len(inside))
            residual[rows] -= correction.add(np.zeros_like(residual[rows]), coefficients[inside])
            at += len(inside)
    return residual


def deltas_along(
    correction: Correction, linear: LinearForecast, values: FloatArray, elapsed: FloatArray
) -> FloatArray:
    """Return the correction's delta (n, C) at every row of one asset, read from its start."""
    inputs = _inputs(correction, linear, Series(values, elapsed, len(values)))
    return correction.selective.deltas(inputs)[0].astype(np.float64)


def _inputs(correction: Correction, linear: LinearForecast, series: Series) -> NDArray[np.float32]:
    """Return what the selective model reads of one asset, (n, F)."""
    state: State = {"before": linear.start}
    path, parts = correction.path(linear), []
    for cut, features in _passes(linear, series):
        told = path(features)
        parts.append(correction.inputs(features, series.values[cut], told, state))
        state["before"] = told[-1, :, 0]
    return np.concatenate(parts)


def _passes(linear: LinearForecast, series: Series) -> Iterator[tuple[slice, Features]]:
    """Yield the features of all rows of one asset, in pieces."""
    memory = linear.memory
    state = memory.init_state(linear.start)
    for cut in chunks(len(series.values), row_floats(memory, series.values.shape[1], 0)):
        rows = np.arange(cut.stop - cut.start)
        yield (
            cut,
            memory.advance(
                series.values[cut], series.elapsed[cut], state, rows=rows, gate=linear.gate
            ),
        )


class _HeldBack:
    """Residuals of the linear forecast at any rows of all assets, by weights that had not seen
    them: what a correction is taught by and judged by."""

    def __init__(self, attempt: Attempt, series: Sequence[Series], size: FloatArray) -> None:
        self.attempt, self.series, self.size = attempt, series, size
        self.block = np.concatenate(attempt.plans)
        lengths = [len(one.values) for one in series]
        self.starts = np.cumsum([0, *lengths[:-1]])

    def rows(self) -> tuple[IntArray, IntArray]:
        """Return the rows to learn from and, later, those to judge by."""
        blocks = self.attempt.linears
        judge = max(k for k in blocks if (self.block == k).any()) if blocks else 0
        known = np.isin(self.block, list(blocks))
        return np.flatnonzero(known & (self.block != judge)), np.flatnonzero(self.block == judge)

    def __call__(self, origins: NDArray[Any]) -> NDArray[np.float32]:
        """Return (k, H, M) residuals in sizes, NaN where a target is missing."""
        horizon = self.attempt.lesson.horizon
        out = np.empty((len(origins), horizon, len(self.size)), np.float32)
        for asset, (start, one) in enumerate(zip(self.starts, self.series, strict=True)):
            linears = self.attempt.linears_of(asset)
            truth = Targets.of(one.values, one.elapsed)
            for cut, features in _passes(self.attempt.linear, one):
                inside = (origins >= start + cut.start) & (origins < start + cut.stop)
                for place, rows in self._by_block(origins, np.flatnonzero(inside)):
                    linear = linears[place]
                    at = origins[rows] - start - cut.start
                    told = linear.forecast(features.at(at), horizon)
                    out[rows] = (truth.after_all(origins[rows] - start, horizon) - told) / self.size
        return out

    def _by_block(self, origins: NDArray[Any], rows: IntArray) -> Iterator[tuple[int, IntArray]]:
        block = self.block[origins[rows]]
        for k in np.unique(block):
            yield int(k), rows[block == k]
