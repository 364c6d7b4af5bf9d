"""What hears all tags adds to a linear forecast, where it has earned its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ModelFileError
from sensorssm.estimators.mixing import Mixing
from sensorssm.estimators.selective import SelectiveResidual
from sensorssm.models.knots import KnotForecast
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
State = dict[str, NDArray[Any]]

# A spread counts as this far from usual at most, in logarithms.
FARTHEST = 3.0
# Steps at which the linear forecast is shown.
PATH_STEPS = 4
# Lags over which it is shown how far a tag has moved: what follows a tag does so later.
MOVES = np.array([1, 3, 7])
# A reading may be 1e150 off, which float32 cannot hold.
_LARGEST = np.finfo(np.float32).max
_OWN, _SELECTIVE = "correction.", "selective."


@dataclass(frozen=True)
class Correction:
    """What is added to a linear forecast by what hears all tags: how surprising each one is, and
    where its own forecast takes it.

    Attributes
    ----------
    size : (M,) usual size of a residual, in the tag's unit; corrections are in these
    usual : (M, P) usual logarithm of each spread over the size
    basis : (K, H) float32, the curves over the horizon that a forecast may be moved by
    mixing : the readout across tags, where it was kept
    selective : the selective model of what that leaves, where it was kept
    """

    size: FloatArray
    usual: FloatArray
    basis: NDArray[np.float32]
    mixing: Mixing | None = None
    selective: SelectiveResidual | None = None

    def start(self, level: FloatArray) -> State:
        """Return the state before any reading; `level` (M,) is the first forecast."""
        own: State = {}
        if self.selective is not None:
            _, own = self.selective.correct(np.zeros((0, self.selective.inputs_), np.float32))
        return own | {"before": level.copy(), "coefficients": np.zeros(self.shape)}

    def read(
        self, features: Features, values: FloatArray, path: FloatArray, state: State
    ) -> FloatArray:
        """Return each row's coefficients (n, K, M); `state` is overwritten.

        Parameters
        ----------
        features, values : of n rows, (n, M) values
        path : (n, M, S) the linear forecast at `path_steps`
        """
        before = np.concatenate([state["before"][None], path[:-1, :, 0]])
        inputs = self.inputs(features, values, path, before)
        coefficients = np.zeros((len(values), *self.shape))
        if self.mixing is not None:
            coefficients = self.mixing(inputs)
        if self.selective is not None:
            own = {k: v for k, v in state.items() if k not in ("before", "coefficients")}
            moved, new = self.selective.correct(self.network_inputs(inputs), own)
            coefficients = coefficients + moved
            state |= new
        state["before"] = path[-1, :, 0].copy()
        state["coefficients"] = coefficients[-1].copy()
        return coefficients

    def path(self, linear: LinearForecast) -> KnotForecast:
        """Return what forecasts at `path_steps`, the same for many rows and for one."""
        return KnotForecast(linear, path_steps(linear.horizon))

    def inputs(
        self, features: Features, values: FloatArray, path: FloatArray, before: FloatArray
    ) -> NDArray[np.float32]:
        """Return what is read of n rows, (n, F) float32, no units; `before` (n, M) is what the row
        before forecast for each.

        Per tag: whether it was read at all, how unusual each spread is, the distance from the level,
        where the linear forecast goes from the last reading, the surprise, and the last moves.
        """
        last = features.recent[:, :, -1]
        unusual = log_spread(features.spread, self.size) - self.usual
        surprise = np.nan_to_num((values - before) / self.size)
        distance = (last - features.level) / self.size
        ahead = (path - last[:, :, None]) / self.size[:, None]
        slots = np.maximum(features.recent.shape[2] - 1 - MOVES, 0)
        moves = (last[:, :, None] - features.recent[:, :, slots]) / self.size[:, None]
        unusual = np.clip(unusual, -FARTHEST, FARTHEST)
        parts = [np.isfinite(values) - 0.5, *unusual.transpose(2, 0, 1), distance]
        parts += [*ahead.transpose(2, 0, 1), surprise, *moves.transpose(2, 0, 1)]
        return np.clip(np.concatenate(parts, axis=1), -_LARGEST, _LARGEST).astype(np.float32)

    def network_inputs(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the selective model sees of the inputs: what came before it remembers."""
        return inputs[:, : -len(MOVES) * len(self.size)]

    @property
    def shape(self) -> tuple[int, int]:
        """Return (K, M), those of one row's coefficients."""
        return len(self.basis), len(self.size)

    def add(self, point: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Return forecasts (k, H, M) with what `coefficients` (k, K, M) add to them."""
        moved = np.einsum("nkm,kh->nhm", coefficients, self.basis[:, : point.shape[1]])
        return point + moved * self.size

    def at(self, coefficients: FloatArray, steps: IntArray) -> FloatArray:
        """Return what is added (k, M, len(steps)) at some steps, counted from 0."""
        moved = np.einsum("nkm,kh->nmh", coefficients, self.basis[:, steps])
        return moved * self.size[:, None]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the settings, ready for JSON, and the arrays."""
        arrays = {_OWN + name: getattr(self, name) for name in ("size", "usual", "basis")}
        if self.mixing is not None:
            arrays |= self.mixing.to_arrays()
        config = {"mixing": self.mixing is not None, "selective": None}
        if self.selective is not None:
            config["selective"] = self.selective.config.to_dict()
            arrays |= {_SELECTIVE + name: a for name, a in self.selective.arrays().items()}
        return config, arrays

    @classmethod
    def from_parts(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], linear: LinearForecast
    ) -> Correction:
        """Return the correction of `linear` that `to_parts` took apart.

        Raises
        ------
        ModelFileError : parts that do not fit together.
        """
        size, usual, basis = (arrays[_OWN + name] for name in ("size", "usual", "basis"))
        tags, spreads = len(linear.start), len(linear.memory.spread_tau)
        fits = (
            size.shape == (tags,)
            and usual.shape == (tags, spreads)
            and basis.ndim == 2
            and basis.shape[1] == linear.horizon
        )
        mixing, selective = None, None
        if fits and config["mixing"]:
            most = mixing_inputs_of(tags, linear.horizon, may_walk=False)
            mixing = Mixing.from_arrays(arrays, most, len(basis), tags)
        if fits and config["selective"] is not None:
            own = {
                k.removeprefix(_SELECTIVE): v for k, v in arrays.items() if k.startswith(_SELECTIVE)
            }
            selective = SelectiveResidual.from_arrays(config["selective"], own)
            fits = (
                selective.inputs_ == inputs_of(tags, spreads, linear.horizon)
                and selective.tags_ == tags
                and selective.basis_.shape == basis.shape
            )
        if not fits:
            raise ModelFileError(f"a correction of other sizes: {size.shape}, {usual.shape}")
        return cls(size, usual, basis, mixing, selective)


def path_steps(horizon: int) -> IntArray:
    """Return the steps (S,) at which the correction is shown the linear forecast, from 1."""
    return np.unique(np.linspace(1, horizon, PATH_STEPS).astype(np.int64))


def inputs_of(tags: int, spreads: int, horizon: int) -> int:
    """Return the number of inputs of the selective model."""
    return tags * (3 + spreads + len(path_steps(horizon)))


def mixing_inputs_of(tags: int, horizon: int, *, may_walk: bool) -> int:
    """Return how many of `Correction.inputs`, the last, a readout across tags sees.

    It sees what is new in each tag, and where each tag's own forecast goes; but of tags that may be
    random walks only what is new: in hindsight a walk did always return. It does not see where a
    tag stands or how lively it has been: two drifts always seem to have to do with each other.
    """
    told = 0 if may_walk else len(path_steps(horizon))
    return tags * (told + 1 + len(MOVES))


def log_spread(spread: FloatArray, size: FloatArray) -> FloatArray:
    """Return the logarithm of spreads (n, M, P) in sizes; a still tag's is finite."""
    return np.log(spread / size[:, None] + 1e-3)
