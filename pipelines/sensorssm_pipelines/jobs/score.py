"""Job: score the rows after the fit span in one pass, and raise alarms."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.models import assets_of, load_models, readings_of
from sensorssm_pipelines.jobs.recording import Recorder, Scored
from sensorssm_pipelines.jobs.spans import spans_of
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector


@dataclass(frozen=True)
class ScoreReport:
    """Instants scored and alarms opened, over all assets."""

    instants: int
    alarms: int
    seconds: float


@dataclass(frozen=True)
class _Ready:
    """One asset that can be scored: its readings, its model, and the first row to score."""

    asset: str
    readings: pl.DataFrame
    detector: SSMDetector
    first: int


def run(recipe: Recipe, store: Store, progress: Progress = silent) -> ScoreReport:
    """Score each asset's readings after its fit span, with what came before as context.

    Earlier scores go, but only once every asset is ready to be scored anew.
    """
    ready = [one for asset in assets_of(store) if (one := _prepare(recipe, store, asset))]
    instants, alarms, started = 0, 0, perf_counter()
    store.clear_scores()
    for number, one in enumerate(ready):
        progress("scoring", number, len(ready))
        block = _score(one)
        recorder = Recorder(recipe, store, one.asset, one.detector.tags_, one.detector.threshold_)
        if block.times:
            alarms += recorder.write(block)
            instants += len(block.times)
    progress("scoring", len(ready), len(ready))
    return ScoreReport(instants, alarms, perf_counter() - started)


def _prepare(recipe: Recipe, store: Store, asset: str) -> _Ready | None:
    readings = readings_of(store, asset)
    detector = load_models(recipe, store, asset, readings).detector
    if detector is None:
        return None
    first = spans_of(recipe.split, readings[TIME], asset).score
    return _Ready(asset, readings, detector, first)


def _score(one: _Ready) -> Scored:
    readings, detector, first = one.readings, one.detector, one.first
    return Scored(
        times=readings[TIME][first:].to_list(),
        scores=detector.anomaly_score(readings)[first:],
        values=_array(readings)[first:],
        expected=_array(detector.expected(readings))[first:],
        contributions=_array(detector.explain(readings))[first:],
    )


def _array(frame: pl.DataFrame) -> np.ndarray:
    return frame.drop(TIME, strict=False).to_numpy().astype(np.float64)
