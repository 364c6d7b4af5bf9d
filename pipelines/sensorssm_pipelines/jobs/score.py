"""Job: score the rows after the fit span in one pass, and raise alarms."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.labels import adjusted, moved_by
from sensorssm_pipelines.jobs.models import assets_of, load_models, readings_of
from sensorssm_pipelines.jobs.recording import Recorder, Scored, facts_of, told
from sensorssm_pipelines.jobs.spans import spans_of
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import SCORES, Store, draft

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector


@dataclass(frozen=True)
class ScoreReport:
    """Instants scored and alarms told, none of a shelf; `moved` as in `FitReport`."""

    instants: int
    alarms: int
    seconds: float
    moved: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Ready:
    """One asset that can be scored: its readings, its model, and the first row to score."""

    asset: str
    readings: pl.DataFrame
    detector: SSMDetector
    first: int


def run(recipe: Recipe, store: Store, progress: Progress = silent) -> ScoreReport:
    """Score each asset's readings after its fit span, with what came before as context.

    Earlier scores go, but only once the new ones of every asset are there.
    """
    ready = [one for asset in assets_of(store) if (one := _prepare(recipe, store, asset))]
    instants, started = 0, perf_counter()
    opened: list[str] = []
    with draft(store, SCORES) as made:
        for number, one in enumerate(ready):
            progress("scoring", number, len(ready))
            block, detector = _score(one), one.detector
            facts = facts_of(recipe, store, one.asset, detector.tags_)
            if block.times:
                recorder = Recorder(recipe, made, one.asset, facts, detector.threshold_)
                opened += recorder.write(block)
                instants += len(block.times)
        alarms = told(made, opened)
    progress("scoring", len(ready), len(ready))
    moved = moved_by({one.asset: one.detector for one in ready})
    return ScoreReport(instants, alarms, perf_counter() - started, moved)


def _prepare(recipe: Recipe, store: Store, asset: str) -> _Ready | None:
    readings = readings_of(store, asset)
    detector = load_models(recipe, store, asset, readings).detector
    if detector is None:
        return None
    first = spans_of(recipe.split, readings[TIME], asset).score
    said = store.read_alarm_labels(asset)
    return _Ready(asset, readings, adjusted(detector, readings, said), first)


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
