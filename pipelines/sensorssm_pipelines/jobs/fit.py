"""Job: fit a forecaster and a detector for each asset and save them beside the results."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import polars as pl

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.labels import FAULT, adjusted, kinds_of, moved_by
from sensorssm_pipelines.jobs.models import Models, fitted_assets, readings_of, save_models
from sensorssm_pipelines.jobs.spans import Spans, spans_of
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import MODELS, Store, draft

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector, SSMForecaster


@dataclass(frozen=True)
class FitReport:
    """Seconds of each model's fit, summed over the assets, and the rows they learnt from.

    `selective` : per asset, the share of the held-back loss that a selective memory took off, 0
    where it was not kept; empty where the recipe asked for none. `moved` : per asset, the
    threshold as fitted and as labels moved it, where they did.
    """

    assets: int
    rows: int
    seconds: dict[str, float] = field(default_factory=dict)
    selective: dict[str, float] = field(default_factory=dict)
    moved: dict[str, tuple[float, float]] = field(default_factory=dict)


def run(recipe: Recipe, store: Store, progress: Progress = silent) -> FitReport:
    """Fit the models of every asset on its fit span; they are saved once all of them are there."""
    assets, rows = fitted_assets(recipe, store), 0
    models: dict[str, Models] = {}
    seconds: dict[str, float] = {}
    selective: dict[str, float] = {}
    for number, asset in enumerate(assets):
        progress("fitting models", number, len(assets))
        readings = readings_of(store, asset)
        spans = spans_of(recipe.split, readings[TIME], asset)
        begun = perf_counter()
        forecaster = _fit_forecaster(recipe, readings, spans)
        between = perf_counter()
        detector = _fit_detector(
            recipe, readings, spans, store.read_labels(asset), store.read_alarm_labels(asset)
        )
        for model, took in ((forecaster, between - begun), (detector, perf_counter() - between)):
            if model is not None:
                name = type(model).__name__
                seconds[name] = seconds.get(name, 0.0) + took
        if forecaster is not None and forecaster.memory in ("selective", "auto"):
            selective[asset] = forecaster.selective_gain_
        rows += spans.fit
        models[asset] = Models(forecaster, detector)
    with draft(store, MODELS) as made:
        for asset, fitted in models.items():
            save_models(made, asset, fitted)
        made.write_assets(_described(recipe, store.read_assets(), models))
    progress("fitting models", len(assets), len(assets))
    return FitReport(
        len(assets),
        rows,
        seconds,
        selective,
        moved_by({asset: fitted.detector for asset, fitted in models.items()}),
    )


def _fit_forecaster(recipe: Recipe, readings: pl.DataFrame, spans: Spans) -> SSMForecaster | None:
    from sensorssm.estimators import SSMForecaster

    if recipe.forecast is None:
        return None
    chosen = readings[spans.fit : spans.valid]
    wanted = recipe.forecast
    return SSMForecaster(
        horizon=wanted.horizon,
        season=wanted.season,
        memory=wanted.memory,
        lags=wanted.lags,
        random_state=recipe.seed,
    ).fit(readings[: spans.fit], X_val=None if chosen.is_empty() else chosen)


def _fit_detector(
    recipe: Recipe, readings: pl.DataFrame, spans: Spans, labels: pl.DataFrame, said: pl.DataFrame
) -> SSMDetector | None:
    """Return a detector that learnt neither from known faults nor from what people called one."""
    from sensorssm.estimators import SSMDetector

    if recipe.detect is None:
        return None
    times = readings[TIME]
    kinds = kinds_of(times, said)
    for started, ended in labels.select("started", "ended").iter_rows():
        kinds[times.is_between(started, ended, closed="left").to_numpy()] = FAULT
    detector = SSMDetector(
        false_alarm_rate=recipe.detect.false_alarm_rate,
        alarm_budget=recipe.detect.alarm_budget,
        on_delay=recipe.alarms.on_delay,
        off_delay=recipe.alarms.off_delay,
        modes=recipe.detect.modes,
        random_state=recipe.seed,
    ).fit(readings[: spans.fit], labels=kinds[: spans.fit])
    return adjusted(detector, readings, said)


def _described(recipe: Recipe, assets: pl.DataFrame, models: dict[str, Models]) -> pl.DataFrame:
    """Return the table of assets with the names of each one's models, the reference's for all."""

    def names(asset: str) -> str:
        found = models[recipe.split.reference or asset]
        return " + ".join(type(m).__name__ for m in (found.detector, found.forecaster) if m)

    return assets.with_columns(
        model=pl.Series([names(a) for a in assets["asset"]], dtype=pl.String)
    )
