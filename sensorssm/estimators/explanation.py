"""Which readings carry a forecast: its linear part taken apart, reading by reading.

Given how far each reading is trusted, and how far forecasts may leave the last reading, the memory
and everything read out of it are linear in the readings. So the memory itself is asked, by the same
compiled loop that forecasts: each reading in turn is replaced by a pulse of one unit, and what the
forecast answers is that reading's share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ConfigError
from sensorssm.estimators.assets import AssetRows
from sensorssm.estimators.checks import check_origins
from sensorssm.estimators.covariates import KnownFuture
from sensorssm.estimators.forecast_model import ForecastModel, Seen, check_horizon
from sensorssm.estimators.rolling import RollingForecaster
from sensorssm.models.memory import Features, MemoryState

FloatArray = NDArray[np.float64]

_NO_ROWS = np.zeros(0, dtype=np.int64)


class Explanation(NamedTuple):
    """One forecast, and what it is made of; all in the tags' units.

    ``forecast = level + sum over lags of contributions + older + across + future``, exactly.

    Attributes
    ----------
    forecast : (H, M)
    level : (M,) each tag's level, that readings are counted from
    response : (H, L, M) what one unit of the reading `lag` rows back adds; 0 where none was read.
        Lag 0 is the row of the origin
    contributions : (H, L, M) what the last L rows add: response times reading minus level
    older : (H, M) what all rows before them add
    across : (H, M) what is read from all tags at once adds: the readout across tags, the selective
        part
    future : (H, M) what known inputs add
    """

    forecast: FloatArray
    level: FloatArray
    response: FloatArray
    contributions: FloatArray
    older: FloatArray
    across: FloatArray
    future: FloatArray


def explain_forecast(
    model: ForecastModel, known: KnownFuture | None, record: AssetRows, steps: int, past: int
) -> Explanation:
    """Return the forecast after the last row of a record, taken apart into its last `past` rows.

    Raises
    ------
    ConfigError : not one row of the past is asked for
    """
    if past < 1:
        raise ConfigError(f"past={past!r}, wanted at least 1 row")
    rows, linear = len(record.values), model.linear
    first = max(rows - past, 0)
    state = model.start()
    if first:
        model.advance(record.values[:first], record.elapsed[:first], state, _NO_ROWS)
    before = state.memory.copy()
    model.advance(record.values[first:], record.elapsed[first:], state, _NO_ROWS)
    seen = model.look(state)
    told = linear.forecast(seen.features, steps)
    told = model.held_back(told, seen)[0]
    point = model.forecast(seen, steps, None)[0]
    parts = _Pulses.of(model, seen, before, record, first).answers(steps)
    response, older, level = (np.stack(part, axis=-1) for part in zip(*parts, strict=True))
    future = np.zeros_like(point)
    if known is not None:
        future = known.along(record, np.array([rows - 1]), steps).moved[0]
    values = np.where(np.isfinite(record.values), record.values, level)[first:][::-1]
    contributions = response * (values - level)
    # A shift of all readings shifts the forecast as much: what recent answers leave of 1 is older's.
    older = older - level * (1.0 - response.sum(axis=1))
    return Explanation(point + future, level, response, contributions, older, point - told, future)


class _Pulses(NamedTuple):
    """A memory before the last rows of a record, how far those are trusted, and how far the
    forecast reaches."""

    model: ForecastModel
    weighed: FloatArray
    before: MemoryState
    values: FloatArray
    elapsed: FloatArray
    trust: FloatArray

    @classmethod
    def of(
        cls, model: ForecastModel, seen: Seen, before: MemoryState, record: AssetRows, first: int
    ) -> _Pulses:
        linear = model.linear
        values, elapsed = record.values[first:], record.elapsed[first:]
        trust = np.isfinite(values).astype(np.float64)
        if linear.gate is not None:
            trust = linear.memory.trust(values, elapsed, before, linear.gate)
        return cls(model, seen.weighed, before, values, elapsed, trust)

    def answers(self, steps: int) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
        """Return per tag the response (H, L), what older rows add to it (H,), and the level."""
        return [self._answers_of(tag, steps) for tag in range(self.values.shape[1])]

    def _answers_of(self, tag: int, steps: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Ask a memory of L pulses, the newest first; of the older rows alone; of all of them."""
        rows = len(self.values)
        whole = np.nan_to_num(self.values[:, tag, None])
        pulses = np.concatenate([np.eye(rows)[:, ::-1], np.zeros_like(whole), whole], axis=1)
        trust = np.repeat(self.trust[:, tag, None], rows + 2, axis=1)
        state = _alike(self.before, tag, rows + 2, forgetting=rows)
        features = self.model.linear.memory.reread(pulses, self.elapsed, state, trust)
        told = self._forecasts(features, tag, steps)
        return told[:rows].T, told[rows], features.level[0, -1]

    def _forecasts(self, features: Features, tag: int, steps: int) -> FloatArray:
        """Return the forecasts (count, H) of one row of features by the weights of one tag."""
        linear = self.model.linear
        one = replace(linear, weights=linear.weights[tag, None], bases=linear.bases[tag, None])
        as_rows = Features(
            features.z.swapaxes(0, 1),
            features.level.T,
            features.spread.swapaxes(0, 1),
            features.recent.swapaxes(0, 1),
            np.repeat(features.slot, len(features.z)),
            features.waited.T,
        )
        weighed = np.repeat(self.weighed[:, tag, None], len(features.z), axis=0)
        told = one.forecast(as_rows, steps)
        return self.model.reach.follow(told, as_rows.last, as_rows.waited, weighed)[:, :, 0]


def _alike(state: MemoryState, tag: int, count: int, *, forgetting: int) -> MemoryState:
    """Return the memory of one tag `count` times; the first have read zeros all along."""
    poles = np.repeat(state.poles[:, tag, None], count, axis=1)
    slow = np.repeat(state.slow[tag, None], count, axis=0)
    ring = np.repeat(state.ring[:, tag, None], count, axis=1)
    poles[:2, :forgetting] = 0.0
    slow[:forgetting, [0, 2]] = 0.0
    ring[:, :forgetting] = 0.0
    return MemoryState(poles, slow, ring, state.clock.copy())


class Explaining(RollingForecaster):
    """Gives `explain_forecast` to a forecaster whose model is linear in its readings."""

    _model_of: Callable[[str], ForecastModel]
    _known: KnownFuture | None

    def explain_forecast(
        self,
        X: Any,
        origin: int = -1,
        horizon: int | None = None,
        *,
        past: int = 168,
        times: Any = None,
        groups: Any = None,
        future: Any = None,
    ) -> Explanation:
        """Return one forecast taken apart: what each of the `past` rows before it adds.

        The linear part is exact: level, contributions of the rows and of all older ones add up to
        the forecast, together with the shares of what is read across tags and of known inputs. `origin` is a
        row of `X`, as in `forecast_from`.

        Raises
        ------
        ShapeError : an origin that is not a row of `X`
        """
        records = self._beside(self._records(X, times, groups), future)
        row = int(check_origins(origin, sum(len(own.values) for own in records))[0])
        for own in records:
            if row < len(own.values):
                break
            row -= len(own.values)
        steps = check_horizon(horizon, self.horizon_)
        model = self._model_of(own.asset)
        return explain_forecast(model, self._known, own.until(row + 1), steps, past)
