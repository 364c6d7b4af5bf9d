"""Job: live the days after the fit span again, one instant at a time, as the plant would."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.models import assets_of, load_models, readings_of
from sensorssm_pipelines.jobs.recording import Recorder, Scored, facts_of, told, write_heartbeat
from sensorssm_pipelines.jobs.spans import spans_of
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store

if TYPE_CHECKING:
    from sensorssm.online import Result, Stepper

FloatArray = NDArray[np.float64]

PROCESS = "replay"
_BLOCK = 288  # instants between two writes: a day of five-minute readings


@dataclass(frozen=True)
class ReplayReport:
    """Instants stepped, alarms told (none of a shelf), and the time of one step in milliseconds."""

    instants: int
    alarms: int
    seconds: float
    step_ms_p50: float
    step_ms_p99: float


@dataclass
class _Asset:
    """One asset on its way through time."""

    name: str
    tags: tuple[str, ...]
    times: list[datetime]
    values: FloatArray
    recorder: Recorder
    stepper: Stepper
    first: int
    period: timedelta
    results: list[Result] = field(default_factory=list)


def run(recipe: Recipe, store: Store, progress: Progress = silent) -> ReplayReport:
    """Step every asset through its readings: the past to warm up, the rest scored and stored."""
    lanes = [_lane(recipe, store, asset) for asset in assets_of(store)]
    lanes = [lane for lane in lanes if lane is not None]
    for number, lane in enumerate(lanes):
        progress("reading the past", number, len(lanes))
        for at in range(lane.first):
            lane.stepper.step(lane.values[at], lane.times[at])
    progress("reading the past", 1, 1)
    began, taken, opened = perf_counter(), [], []
    longest = max((len(lane.times) - lane.first for lane in lanes), default=0)
    for begin in range(0, longest, _BLOCK):
        for lane in lanes:
            seconds, alarms = _replay_block(recipe, store, lane, lane.first + begin)
            taken += seconds
            opened += alarms
        progress("replaying, one instant at a time", min(begin + _BLOCK, longest), longest)
    p50, p99 = np.percentile(taken, (50, 99)) * 1e3 if taken else (np.nan, np.nan)
    return ReplayReport(
        len(taken), told(store, opened), perf_counter() - began, float(p50), float(p99)
    )


def _lane(recipe: Recipe, store: Store, asset: str) -> _Asset | None:
    from sensorssm.online import Stepper

    readings = readings_of(store, asset)
    models = load_models(recipe, store, asset, readings)
    if models.detector is None:
        return None
    facts = facts_of(recipe, store, asset, models.detector.tags_)
    return _Asset(
        name=asset,
        tags=tuple(models.detector.tags_),
        times=readings[TIME].to_list(),
        values=np.ascontiguousarray(readings.drop(TIME).to_numpy().astype(np.float64)),
        recorder=Recorder(recipe, store, asset, facts, models.detector.threshold_),
        stepper=Stepper(models.detector, models.forecaster, assets=(asset,)),
        first=spans_of(recipe.split, readings[TIME], asset).score,
        period=timedelta(seconds=getattr(models.forecaster, "period_s_", 0.0)),
    )


def _replay_block(
    recipe: Recipe, store: Store, lane: _Asset, begin: int
) -> tuple[list[float], list[str]]:
    """Step one asset through a block of instants and store it; return seconds a step and alarms."""
    end = min(begin + _BLOCK, len(lane.times))
    taken, results, forecasts = [], [], []
    every = recipe.forecast.store_every if recipe.forecast else 0
    for at in range(begin, end):
        started = perf_counter()
        results.append(lane.stepper.step(lane.values[at], lane.times[at]))
        taken.append(perf_counter() - started)
        if every and (at % every == 0 or at == len(lane.times) - 1):
            forecasts.append(_forecast(lane, at))
    if not results:
        return [], []
    if forecasts:
        store.write_forecasts(pl.concat(forecasts))
    opened = lane.recorder.write(_scored(lane, results, begin, end))
    write_heartbeat(store, PROCESS, lane.times[end - 1])
    return taken, opened


def _scored(lane: _Asset, results: list[Result], begin: int, end: int) -> Scored:
    bands = [(r.lower, r.upper) for r in results if r.lower is not None and r.upper is not None]
    return Scored(
        times=lane.times[begin:end],
        scores=np.array([result.score for result in results]),
        values=lane.values[begin:end],
        expected=np.array([result.expected for result in results]),
        contributions=np.array([result.contributions for result in results]),
        lower=np.array([lower for lower, _ in bands]) if bands else None,
        upper=np.array([upper for _, upper in bands]) if bands else None,
    )


def _forecast(lane: _Asset, at: int) -> pl.DataFrame:
    """Return the forecast from one instant on as rows of the table of forecasts."""
    ahead = lane.stepper.forecast(quantiles=(0.1, 0.5, 0.9))
    steps, tags, _ = ahead.shape
    origin = lane.times[at]
    step = np.repeat(np.arange(1, steps + 1), tags)
    low, middle, high = ahead.reshape(-1, 3).T
    return pl.DataFrame({"step": step, "q10": low, "q50": middle, "q90": high}).with_columns(
        pl.lit(lane.name).alias("asset"),
        pl.lit(origin).alias("origin"),
        (pl.lit(origin) + pl.col("step") * pl.lit(lane.period)).alias("time"),
        pl.Series("tag", list(lane.tags) * steps),
    )
