"""Job: judge a detector row by row against labels, all assets together, beside naive scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.measures import Judged, measured
from sensorssm_pipelines.jobs.models import readings_of
from sensorssm_pipelines.jobs.naive import NAIVE, naive_threshold
from sensorssm_pipelines.jobs.recording import DETECTOR
from sensorssm_pipelines.jobs.spans import spans_of
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store

IN_ALARM = f"{DETECTOR}, while in alarm"

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class RowsReport:
    """One row a model: the recipe's measures of its scores and of the rows above its threshold.

    The row `IN_ALARM` judges the rows on which an alarm of the recipe's delays stood open instead;
    what needs scores is null there. `vus_window` is in rows.
    """

    table: pl.DataFrame
    vus_window: int


def run(recipe: Recipe, store: Store) -> RowsReport | None:
    """Judge the detector of a store and the naive scores; None where there are no labels."""
    if recipe.detect is None or store.read_labels().is_empty():
        return None
    found: dict[str, list[Judged]] = {name: [] for name in (DETECTOR, IN_ALARM, *NAIVE)}
    for asset in store.assets():
        readings = readings_of(store, asset)
        first = spans_of(recipe.split, readings[TIME], asset).score
        if first == readings.height:
            continue
        is_faulty = _truth(readings[TIME], store.read_labels(asset))[first:]
        scored = store.read_scores(asset)
        scores, above = scored["score"].to_numpy(), scored["is_anomaly"].to_numpy()
        found[DETECTOR].append(Judged(scores, above, is_faulty, first))
        found[IN_ALARM].append(Judged(None, _in_alarm(above, recipe), is_faulty, first))
        for name, series, limit in _naive(recipe, store, asset, readings):
            found[name].append(Judged(series, series > limit, is_faulty, first))
    table = {name: measured(parts, recipe.judge) for name, parts in found.items()}
    rows = [{"model": name, **row} for name, row in table.items() if set(row.values()) != {None}]
    return RowsReport(pl.DataFrame(rows), recipe.judge.vus_window)


def metric_rows(report: RowsReport, run: str) -> pl.DataFrame:
    """Return the report as rows of the table of metrics, for all assets together."""
    rows = report.table.unpivot(index="model", variable_name="metric").drop_nulls("value")
    return rows.select(
        pl.lit(run).alias("run"), pl.lit("all").alias("asset"), "model", "metric", "value"
    )


def _naive(
    recipe: Recipe, store: Store, asset: str, readings: pl.DataFrame
) -> Iterator[tuple[str, FloatArray, float]]:
    """Give each naive score of an asset's judged rows with its threshold, from the fitted rows."""
    assert recipe.detect is not None
    values, fitted = _values(readings), spans_of(recipe.split, readings[TIME], asset).score
    reference = recipe.split.reference
    if reference not in (None, asset):
        learnt = readings_of(store, reference)
        past = _values(learnt)[: spans_of(recipe.split, learnt[TIME], reference).fit]
        values, fitted = np.concatenate([past, values]), len(past)
    for name, naive in NAIVE.items():
        series = naive(values, fitted)
        limit = naive_threshold(series, fitted, recipe.detect.false_alarm_rate)
        yield name, series[fitted:], limit


def _truth(times: pl.Series, labels: pl.DataFrame) -> BoolArray:
    is_faulty = np.zeros(times.len(), dtype=np.bool_)
    for started, ended in labels.select("started", "ended").iter_rows():
        is_faulty |= times.is_between(started, ended, closed="left").to_numpy()
    return is_faulty


def _in_alarm(above: BoolArray, recipe: Recipe) -> BoolArray:
    """Return the rows inside alarms by the recipe's delays."""
    from sensorssm.scoring import find_events

    inside = np.zeros(len(above), dtype=np.bool_)
    settings = recipe.alarms
    starts = np.zeros(1, dtype=np.int64)
    for begin, end in find_events(
        above, starts, on_delay=settings.on_delay, off_delay=settings.off_delay
    ):
        inside[begin:end] = True
    return inside


def _values(readings: pl.DataFrame) -> FloatArray:
    return readings.drop(TIME).to_numpy().astype(np.float64)
