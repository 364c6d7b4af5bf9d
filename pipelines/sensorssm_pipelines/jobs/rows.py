"""Job: judge a detector row by row against labels, pooled over assets, beside naive scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.models import readings_of
from sensorssm_pipelines.jobs.naive import NAIVE, naive_threshold
from sensorssm_pipelines.jobs.recording import DETECTOR
from sensorssm_pipelines.jobs.spans import spans_of
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store

VUS_WINDOW = 100  # rows; the value depends on it, so it is said beside it

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class RowsReport:
    """One row a model: f1, false_alarm_rate and missed_alarm_rate of its alarms, vus_pr of its scores.

    The first three pool the rows of all assets; the volume under the surface of precision and
    recall needs no threshold and is the mean over assets.
    """

    table: pl.DataFrame


@dataclass(frozen=True)
class _Judged:
    """Scores, alarms and truth of one asset's scored rows, (n,)."""

    scores: FloatArray
    in_alarm: BoolArray
    is_faulty: BoolArray


def run(recipe: Recipe, store: Store) -> RowsReport | None:
    """Judge the detector of a store and the naive scores; None where there are no labels."""
    if recipe.detect is None or store.read_labels().is_empty():
        return None
    found: dict[str, list[_Judged]] = {name: [] for name in (DETECTOR, *NAIVE)}
    for asset in store.assets():
        readings = readings_of(store, asset)
        first = spans_of(recipe.split, readings[TIME], asset).score
        if first == readings.height:
            continue
        is_faulty = _truth(readings[TIME], store.read_labels(asset))[first:]
        scored = store.read_scores(asset)
        scores = {DETECTOR: (scored["score"].to_numpy(), float(scored["threshold"][0]))}
        values = readings.drop(TIME).to_numpy().astype(np.float64)
        for name, naive in NAIVE.items():
            series = naive(values, first)
            limit = naive_threshold(series, first, recipe.detect.false_alarm_rate)
            scores[name] = series[first:], limit
        for name, (series, limit) in scores.items():
            found[name].append(_Judged(series, _in_alarm(series > limit, recipe), is_faulty))
    return RowsReport(pl.DataFrame([{"model": n, **_metrics(parts)} for n, parts in found.items()]))


def metric_rows(report: RowsReport, run: str) -> pl.DataFrame:
    """Return the report as rows of the table of metrics, for all assets together."""
    return report.table.unpivot(index="model", variable_name="metric").select(
        pl.lit(run).alias("run"), pl.lit("all").alias("asset"), "model", "metric", "value"
    )


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


def _metrics(parts: list[_Judged]) -> dict[str, float]:
    from sensorssm.evaluation.anomaly import row_rates, volume_under_surface

    truth = np.concatenate([part.is_faulty for part in parts])
    rates = row_rates(truth, np.concatenate([part.in_alarm for part in parts]))
    volumes = [
        volume_under_surface(part.is_faulty, np.nan_to_num(part.scores), window=VUS_WINDOW).pr
        for part in parts
        if part.is_faulty.any()
    ]
    return {
        "f1": rates.f1,
        "false_alarm_rate": rates.false_alarm_rate,
        "missed_alarm_rate": rates.missed_alarm_rate,
        "vus_pr": float(np.mean(volumes)) if volumes else float("nan"),
    }
