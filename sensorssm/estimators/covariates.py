"""Inputs whose future is known (set points, plans, the weather forecast), beside a forecaster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ModelFileError
from sensorssm.estimators.asset_state import AssetState
from sensorssm.estimators.assets import AssetRows
from sensorssm.estimators.checks import refuse_empty_tags
from sensorssm.estimators.covariate_effect import DECAY_STEPS, Effect, learn_effect
from sensorssm.estimators.fitting import Fit, calibrate, fit_model
from sensorssm.estimators.folder import under
from sensorssm.estimators.forecast_model import ForecastModel, Seen
from sensorssm.estimators.learning import Series
from sensorssm.estimators.model_parts import (
    conformal_from_arrays,
    conformal_to_arrays,
    model_from_arrays,
    model_to_arrays,
)
from sensorssm.estimators.targets import Targets
from sensorssm.scoring.conformal import Conformal, check_levels

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Arrays = Mapping[str, NDArray[Any]]

_NO_ROWS = np.zeros(0, dtype=np.int64)
_SURE = "sure."


class Told(NamedTuple):
    """What a known future does to k forecasts: what it adds, and how much of it there is.

    Both (k, H, M); the share is 0 for a tag that does not answer.
    """

    moved: FloatArray
    share: FloatArray

    def point(self, point: FloatArray) -> FloatArray:
        """Return point forecasts (k, H, M), moved."""
        return point + self.moved

    def fan(self, fan: FloatArray, sure: FloatArray) -> FloatArray:
        """Return quantiles (k, H, M, Q): from `fan` without a future, moved, to `sure` with all."""
        share = self.share[..., None]
        return (1.0 - share) * (fan + self.moved[..., None]) + share * sure


@dataclass(frozen=True)
class KnownFuture:
    """Fitted covariates: what was to be expected of them, and what their surprises do.

    Attributes
    ----------
    names : of the K covariates; numbered where they were given as an array
    model : forecasts the covariates from their own past
    effect : of their innovations on the tags
    sure : the quantiles of the tags' forecasts where the whole future is known
    """

    names: tuple[str, ...]
    model: ForecastModel
    effect: Effect
    sure: Conformal

    def along(self, record: AssetRows, rows: IntArray, steps: int) -> Told:
        """Return what is done to the forecasts after increasing `rows` of a record."""
        inputs = self._inputs(record)
        return self._told(*_compared(self.model, inputs, record.elapsed, rows, steps))

    def ahead(self, state: AssetState, future: FloatArray | None, steps: int) -> Told:
        """Return what is done to the forecast after `state` by the rows (*, K) that come next."""
        none = np.empty((0, len(self.names)))
        known = none if future is None else future[:steps]
        unknown = np.full((steps - len(known), len(self.names)), np.nan)
        expected = self.model.forecast(self.model.look(state), steps, None)
        return self._told(np.concatenate([known, unknown])[None], expected)

    def fan(
        self, told: Told, model: ForecastModel, seen: Seen, steps: int, levels: ArrayLike
    ) -> FloatArray:
        """Return the quantiles (k, H, M, Q) of what is `seen` by `model`, as told by the future."""
        sure = model.fan(self.sure, seen, told.moved, steps, check_levels(levels))
        return told.fan(model.forecast(seen, steps, levels), sure)

    def read(self, record: AssetRows, state: AssetState) -> None:
        """Move `state` on over the covariates of a record; it is overwritten."""
        values = self._inputs(record)[: len(record.values)]
        self.model.advance(values, record.elapsed, state, _NO_ROWS)

    def _inputs(self, record: AssetRows) -> FloatArray:
        """Return a record's covariates, (n or more, K); without any, none is known."""
        if record.future is None:
            return np.full((len(record.values), len(self.names)), np.nan)
        return record.future

    def _told(self, ahead: FloatArray, expected: FloatArray) -> Told:
        innovation, known = _innovation(ahead, expected)
        return Told(self.effect.move(innovation), known[..., None] * (self.effect.gain > 0))

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings, ready for JSON, and arrays."""
        config, arrays = model_to_arrays(self.model)
        own = {
            "effect.weights": self.effect.weights,
            "effect.gain": self.effect.gain,
        }
        own |= {_SURE + name: part for name, part in conformal_to_arrays(self.sure).items()}
        return config | {"names": list(self.names)}, arrays | own

    @classmethod
    def from_parts(cls, config: Mapping[str, Any], arrays: Arrays, tags: int) -> Self:
        """Return what `to_parts` took apart.

        Raises
        ------
        ModelFileError : arrays whose shapes do not fit together.
        """
        model = model_from_arrays(config, arrays)
        names = tuple(map(str, config["names"]))
        effect = Effect(arrays["effect.weights"], arrays["effect.gain"])
        found = (effect.weights.shape, effect.gain.shape)
        count, linear = len(names), model.linear
        wanted = ((count * len(DECAY_STEPS), tags), (tags,))
        if found != wanted or len(model.linear.start) != count:
            raise ModelFileError(f"covariates have shapes {found}, wanted {wanted}")
        spreads = len(linear.memory.spread_tau)
        sure = conformal_from_arrays(under(_SURE, arrays), tags, spreads, linear.horizon)
        return cls(names, model, effect, sure)


def fit_known_future(
    fit: Fit, series: Sequence[Series], inputs: Sequence[FloatArray], names: tuple[str, ...]
) -> tuple[KnownFuture, list[AssetState]]:
    """Return fitted covariates, and where each asset's stand.

    `inputs` (*, K) are each asset's, row by row; of what is left of `series` none are known.
    """
    own = []
    for one, rows in zip(series, inputs, strict=True):
        values = np.full((len(one.values), len(names)), np.nan)
        values[: len(rows)] = rows[: len(values)]
        own.append(Series(values, one.elapsed, one.trained))
    refuse_empty_tags(np.concatenate([one.values[: one.trained] for one in own]), names)
    linear = fit.model.linear
    expected = fit_model(
        own, horizon=linear.horizon, seasons=[linear.seasons], lags=linear.memory.lags
    )
    steps = fit.residual.shape[1]
    parts = [
        _innovation(*_compared(expected.model, one.values, one.elapsed, rows, steps))[0]
        for one, rows in zip(own, fit.attempt.kept, strict=True)
        if len(rows)
    ]
    effect, left = learn_effect(fit.residual, np.concatenate(parts), fit.attempt.block)
    sure = calibrate(fit.attempt, left, linear.horizon)
    return KnownFuture(names, expected.model, effect, sure), expected.states


def _compared(
    model: ForecastModel, inputs: FloatArray, elapsed: FloatArray, rows: IntArray, steps: int
) -> tuple[FloatArray, FloatArray]:
    """Return what came after `rows`, NaN where unknown, and what was to be expected, (k, H, K).

    `inputs` may have more rows than the record they stand beside: one step after the other.
    """
    count = len(elapsed)
    spaced = np.concatenate([elapsed, np.ones(len(inputs) - count)])
    ahead = Targets.of(inputs, spaced).after_all(rows, steps)
    expected = model.points(inputs[:count], elapsed, model.start(), rows, steps)
    return ahead, np.concatenate([*expected])


def _innovation(ahead: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what is new (k, H, K), 0 where unknown, and the share known up to each step (k, H)."""
    known = np.isfinite(ahead)
    share = np.cumsum(known.mean(axis=2), axis=1) / np.arange(1, known.shape[1] + 1)
    return np.where(known, ahead - expected, 0.0), share
