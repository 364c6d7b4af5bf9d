"""Job: score the rows after the fit span in one pass, and raise alarms."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import polars as pl

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.models import assets_of, load_models, readings_of
from sensorssm_pipelines.jobs.recording import Recorder, Scored
from sensorssm_pipelines.jobs.spans import spans_of
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store


@dataclass(frozen=True)
class ScoreReport:
    """Instants scored and alarms opened, over all assets."""

    instants: int
    alarms: int
    seconds: float


def run(recipe: Recipe, store: Store, progress: Progress = silent) -> ScoreReport:
    """Score each asset's readings after its fit span, with what came before as context."""
    assets, instants, alarms, started = assets_of(store), 0, 0, perf_counter()
    for number, asset in enumerate(assets):
        progress("scoring", number, len(assets))
        readings = readings_of(store, asset)
        detector = load_models(recipe, store, asset, readings).detector
        if detector is None:
            continue
        first = spans_of(recipe.split, readings[TIME], asset).score
        block = Scored(
            times=readings[TIME][first:].to_list(),
            scores=detector.anomaly_score(readings)[first:],
            values=_array(readings)[first:],
            expected=_array(detector.expected(readings))[first:],
            contributions=_array(detector.explain(readings))[first:],
        )
        recorder = Recorder(recipe, store, asset, detector.tags_, detector.threshold_)
        if block.times:
            alarms += recorder.write(block)
            instants += len(block.times)
    progress("scoring", len(assets), len(assets))
    return ScoreReport(instants, alarms, perf_counter() - started)


def _array(frame: pl.DataFrame) -> np.ndarray:
    return frame.drop(TIME, strict=False).to_numpy().astype(np.float64)
