"""What a selective state space model adds to a linear forecast, where it has earned its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ModelFileError
from sensorssm.estimators.selective import SelectiveResidual
from sensorssm.models.knots import KnotForecast
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
State = dict[str, NDArray[Any]]

# A spread counts as this far from usual at most, in logarithms.
FARTHEST = 3.0


@dataclass(frozen=True)
class Correction:
    """A selective model that reads how surprising and how lively each tag is, and where the linear
    forecast takes it; every tag's correction sees every tag.

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
        columns = inputs_of(len(self.size), self.usual.shape[1], self.selective.horizon_)
        _, state = self.selective.correct(np.zeros((0, columns), np.float32))
        return state | {
            "before": level.copy(),
            "coefficients": np.zeros(self.selective.limit_.shape),
        }

    def read(
        self, features: Features, values: FloatArray, path: FloatArray, state: State
    ) -> FloatArray:
        """Return each row's coefficients (n, K, M); `state` is overwritten.

        Parameters
        ----------
        features, values : of n rows, (n, M) values
        path : (n, M, S) the linear forecast at `path_steps`
        """
        inputs = self.inputs(features, values, path, state)
        own = {k: v for k, v in state.items() if k not in ("before", "coefficients")}
        coefficients, new = self.selective.correct(inputs, own)
        state |= new
        state["before"] = path[-1, :, 0].copy()
        state["coefficients"] = coefficients[-1].astype(np.float64)
        return coefficients.astype(np.float64)

    def path(self, linear: LinearForecast) -> KnotForecast:
        """Return what forecasts at `path_steps`, the same for many rows and for one."""
        return KnotForecast(linear, path_steps(linear.horizon))

    def inputs(
        self, features: Features, values: FloatArray, path: FloatArray, state: State
    ) -> NDArray[np.float32]:
        """Return what the selective model reads of n rows, (n, F) float32, no units.

        Per tag: the surprise, the distance from the level, whether it was read at all, how unusual
        each spread is, and where the linear forecast goes from the last reading.
        """
        before = np.concatenate([state["before"][None], path[:-1, :, 0]])
        surprise = np.nan_to_num((values - before) / self.size)
        last = features.recent[:, :, -1]
        distance = (last - features.level) / self.size
        unusual = log_spread(features.spread, self.size) - self.usual
        ahead = (path - last[:, :, None]) / self.size[:, None]
        parts = [surprise, distance, np.isfinite(values) - 0.5]
        parts += list(np.moveaxis(np.clip(unusual, -FARTHEST, FARTHEST), 2, 0))
        parts += list(np.moveaxis(ahead, 2, 0))
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
            and selective.inputs_ == inputs_of(tags, spreads, selective.horizon_)
            and selective.tags_ == tags
        )
        if not fits:
            raise ModelFileError(f"a correction of other sizes: {size.shape}, {usual.shape}")
        return cls(selective, size, usual)


def path_steps(horizon: int) -> IntArray:
    """Return the steps (S,) at which the correction is shown the linear forecast, from 1."""
    return np.unique(np.linspace(1, horizon, 4).astype(np.int64))


def inputs_of(tags: int, spreads: int, horizon: int) -> int:
    """Return the columns of `Correction.inputs`."""
    return tags * (3 + spreads + len(path_steps(horizon)))


def log_spread(spread: FloatArray, size: FloatArray) -> FloatArray:
    """Return the logarithm of spreads (n, M, P) in sizes; a still tag's is finite."""
    return np.log(spread / size[:, None] + 1e-3)
