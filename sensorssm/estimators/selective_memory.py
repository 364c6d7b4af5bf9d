"""What a selective state space model adds to a linear forecast, where it has earned its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.config import ResidualConfig
from sensorssm.errors import ModelFileError
from sensorssm.estimators.attempt import Attempt
from sensorssm.estimators.learning import Series, chunks, row_floats
from sensorssm.estimators.selective import SelectiveResidual
from sensorssm.estimators.targets import Targets
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
State = dict[str, NDArray[Any]]

# A spread counts as this far from usual at most, in logarithms.
FARTHEST = 3.0


@dataclass(frozen=True)
class Correction:
    """A selective model that reads how surprising and how lively each tag is.

    Attributes
    ----------
    selective : the fitted model, kept
    size : (M,) usual size of a residual, in the tag's unit; corrections are in these
    usual : (M, P) usual logarithm of each spread over the size
    """

    selective: SelectiveResidual
    size: FloatArray
    usual: FloatArray

    def start(self, level: FloatArray) -> State:
        """Return the state before any reading; `level` (M,) is the first forecast."""
        columns = inputs_of(len(self.size), self.usual.shape[1])
        _, state = self.selective.correct(np.zeros((0, columns), np.float32))
        return state | {
            "before": level.copy(),
            "coefficients": np.zeros(self.selective.limit_.shape),
        }

    def read(
        self, features: Features, values: FloatArray, ahead: FloatArray, state: State
    ) -> FloatArray:
        """Return each row's coefficients (n, K, M); `state` is overwritten.

        Parameters
        ----------
        features, values : of n rows, (n, M) values
        ahead : (n, M) the linear forecast of the next row
        """
        inputs = self.inputs(features, values, ahead, state)
        own = {k: v for k, v in state.items() if k not in ("before", "coefficients")}
        coefficients, new = self.selective.correct(inputs, own)
        state |= new
        state["before"] = ahead[-1].copy()
        state["coefficients"] = coefficients[-1].astype(np.float64)
        return coefficients.astype(np.float64)

    def inputs(
        self, features: Features, values: FloatArray, ahead: FloatArray, state: State
    ) -> NDArray[np.float32]:
        """Return what the selective model reads of n rows, (n, F) float32, no units.

        Per tag: the surprise, the distance from the level, whether it was read at all, and how
        unusual each spread is.
        """
        before = np.concatenate([state["before"][None], ahead[:-1]])
        surprise = np.nan_to_num((values - before) / self.size)
        last = features.recent[:, :, -1]
        distance = (last - features.level) / self.size
        unusual = log_spread(features.spread, self.size) - self.usual
        parts = [surprise, distance, np.isfinite(values) - 0.5]
        parts += list(np.moveaxis(np.clip(unusual, -FARTHEST, FARTHEST), 2, 0))
        return np.concatenate(parts, axis=1).astype(np.float32)

    def add(self, point: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Return forecasts (k, H, M) with what `coefficients` (k, K, M) add to them."""
        moved = self.selective.expand(coefficients)[:, : point.shape[1]]
        return point + moved * self.size

    def at(self, coefficients: FloatArray, steps: IntArray) -> FloatArray:
        """Return what is added (k, M, len(steps)) at some steps, counted from 0."""
        moved = self.selective.expand(coefficients)[:, steps]
        return moved.transpose(0, 2, 1) * self.size[:, None]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the settings, ready for JSON, and the arrays."""
        arrays = {f"selective.{name}": a for name, a in self.selective.arrays().items()}
        own = {"correction.size": self.size, "correction.usual": self.usual}
        return self.selective.config.to_dict(), arrays | own

    @classmethod
    def from_parts(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], tags: int, spreads: int
    ) -> Correction:
        """Return the correction that `to_parts` took apart.

        Raises
        ------
        ModelFileError : parts that do not fit together.
        """
        prefix = "selective."
        own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        selective = SelectiveResidual.from_arrays(config, own)
        size, usual = arrays["correction.size"], arrays["correction.usual"]
        fits = (
            size.shape == (tags,)
            and usual.shape == (tags, spreads)
            and selective.inputs_ == inputs_of(tags, spreads)
            and selective.tags_ == tags
        )
        if not fits:
            raise ModelFileError(f"a correction of other sizes: {size.shape}, {usual.shape}")
        return cls(selective, size, usual)


def inputs_of(tags: int, spreads: int) -> int:
    """Return the columns of `Correction.inputs`."""
    return tags * (3 + spreads)


def log_spread(spread: FloatArray, size: FloatArray) -> FloatArray:
    """Return the logarithm of spreads (n, M, P) in sizes; a still tag's is finite."""
    return np.log(spread / size[:, None] + 1e-3)


def fit_correction(attempt: Attempt, series: Sequence[Series], seed: int) -> Correction | None:
    """Return a correction of the attempt's forecast, or None where it does not earn its place."""
    size = np.nanmedian(np.abs(attempt.residual), axis=(0, 1))
    size = np.maximum(size, 1e-6 * attempt.scale)
    usual = log_spread(attempt.spread, size).mean(axis=0)
    selective = SelectiveResidual(ResidualConfig(), seed)
    correction = Correction(selective, size, usual)
    held = _HeldBack(attempt, series, size)
    train, valid = held.rows()
    if len(train) == 0 or len(valid) == 0:
        return None
    selective.fit(
        np.concatenate([_inputs(correction, attempt.linear, one) for one in series]),
        held,
        train_rows=train,
        valid_rows=valid,
        starts=held.starts,
        horizon=attempt.lesson.horizon,
    )
    return correction if selective.kept_ else None


def corrected(
    attempt: Attempt, series: Sequence[Series], correction: Correction
) -> tuple[FloatArray, list[State]]:
    """Return the attempt's residuals (k, H, M) less what the correction adds, and each asset's
    state after its last row."""
    residual, states, at = attempt.residual.copy(), [], 0
    for one, kept in zip(series, attempt.kept, strict=True):
        state = correction.start(attempt.linear.start)
        for cut, features in _passes(attempt.linear, one):
            ahead = attempt.linear.forecast(features, 1)[:, 0]
            coefficients = correction.read(features, one.values[cut], ahead, state)
            inside = kept[(kept >= cut.start) & (kept < cut.stop)] - cut.start
            rows = slice(at, at + len(inside))
            residual[rows] -= correction.add(np.zeros_like(residual[rows]), coefficients[inside])
            at += len(inside)
        states.append(state)
    return residual, states


def _inputs(correction: Correction, linear: LinearForecast, series: Series) -> NDArray[np.float32]:
    """Return what the selective model reads of one asset, (n, F)."""
    state: State = {"before": linear.start}
    parts = []
    for cut, features in _passes(linear, series):
        ahead = linear.forecast(features, 1)[:, 0]
        parts.append(correction.inputs(features, series.values[cut], ahead, state))
        state["before"] = ahead[-1]
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
        for start, one in zip(self.starts, self.series, strict=True):
            truth = Targets.of(one.values, one.elapsed)
            for cut, features in _passes(self.attempt.linear, one):
                inside = (origins >= start + cut.start) & (origins < start + cut.stop)
                for place, rows in self._by_block(origins, np.flatnonzero(inside)):
                    linear = self.attempt.linears[place]
                    at = origins[rows] - start - cut.start
                    told = linear.forecast(features.at(at), horizon)
                    out[rows] = (truth.after_all(origins[rows] - start, horizon) - told) / self.size
        return out

    def _by_block(self, origins: NDArray[Any], rows: IntArray) -> Iterator[tuple[int, IntArray]]:
        block = self.block[origins[rows]]
        for k in np.unique(block):
            yield int(k), rows[block == k]
