"""Job: judge the forecasters on the test span, beside what they must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm.names import TIME
from sensorssm_pipelines.jobs.models import assets_of, load_models, readings_of
from sensorssm_pipelines.jobs.skill import Skill, Watched
from sensorssm_pipelines.jobs.spans import Spans, spans_of
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Baselines, Recipe
from sensorssm_pipelines.store import Store

FloatArray = NDArray[np.float64]

#: What is kept of each model's judgement.
METRICS = ("mse", "mae", "mase", "pinball", "crps", "coverage", "calibration_error")
MODEL = "SSMForecaster"
BASELINES = ("SeasonalNaive", "EWMA")


@dataclass(frozen=True)
class BacktestReport:
    """One row an asset, model and horizon: the means of `METRICS` over the origins.

    Errors are in spreads of the tag over the fit span, so that tags of any unit count alike.
    `skill` holds the same by step, level and tag, at the longest horizon.
    """

    origins: int
    table: pl.DataFrame
    skill: Skill = field(default_factory=Skill, repr=False)

    @property
    def horizons(self) -> list[int]:
        return self.table["horizon"].unique().sort().to_list()

    def mean(self, model: str, metric: str, horizon: int | None = None) -> float:
        """Return a metric of a model, averaged over assets and, without one, over horizons."""
        rows = self.table.filter(pl.col("model") == model)
        if horizon is not None:
            rows = rows.filter(pl.col("horizon") == horizon)
        return float(np.mean(rows[metric].to_numpy()))


def run(recipe: Recipe, store: Store, progress: Progress = silent) -> BacktestReport | None:
    """Forecast from rolling origins on every asset's test span, with every model.

    Without a forecaster in the recipe there is nothing to judge, and no report.
    """
    from sensorssm.evaluation import backtest

    assets, parts, origins, skill = assets_of(store), [], 0, Skill()
    wanted = recipe.forecast
    if wanted is None:
        return None
    horizons = sorted(wanted.horizons or [wanted.horizon])
    for number, asset in enumerate(assets):
        readings = readings_of(store, asset)
        spans = spans_of(recipe.split, readings[TIME], asset)
        models = _models(recipe, store, asset, readings, spans, max(horizons))
        tags = [name for name in readings.columns if name != TIME]
        for at, horizon in enumerate(horizons):
            watched = {name: Watched(model, tags) for name, model in models.items()}
            progress("backtesting", number * len(horizons) + at, len(assets) * len(horizons))
            table = backtest(
                watched,
                readings[: spans.test],
                horizon=horizon,
                first=spans.valid - 1,
                stride=wanted.stride,
                season=recipe.baselines.season,
            )
            origins += table["origins"][0]
            parts.append(
                pl.DataFrame(table).select(
                    pl.lit(asset).alias("asset"),
                    "model",
                    pl.lit(horizon).alias("horizon"),
                    *METRICS,
                )
            )
        for name, model in watched.items():  # of the longest horizon, which comes last
            skill.add(asset, name, model)
    progress("backtesting", 1, 1)
    return BacktestReport(origins, pl.concat(parts), skill)


def _models(
    recipe: Recipe, store: Store, asset: str, readings: pl.DataFrame, spans: Spans, horizon: int
) -> dict[str, Any]:
    """Return the fitted forecaster and its baselines, all speaking in spreads of the fit span."""
    fitted = readings[: spans.fit]
    models = {MODEL: load_models(recipe, store, asset, readings).forecaster}
    models |= _baselines(recipe.baselines, fitted, horizon)
    return {name: InSpreads.of(model, fitted) for name, model in models.items()}


def _baselines(settings: Baselines, fitted: pl.DataFrame, horizon: int) -> dict[str, Any]:
    from sensorssm.estimators import EWMA, SeasonalNaive

    models = (
        SeasonalNaive(season=settings.season, horizon=horizon),
        EWMA(span=settings.span, horizon=horizon),
    )
    return {name: model.fit(fitted) for name, model in zip(BASELINES, models, strict=True)}


@dataclass(frozen=True)
class InSpreads:
    """A fitted forecaster whose numbers are centred and divided by each tag's spread."""

    model: Any
    centre: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, model: Any, fitted: pl.DataFrame) -> InSpreads:
        """Return `model` in the spreads that the tags have over the rows it was fitted on."""
        values = fitted.drop(TIME).to_numpy().astype(np.float64)
        spread = np.nanstd(values, axis=0)
        return cls(model, np.nanmean(values, axis=0), np.where(spread > 0, spread, 1.0))

    def readings(self, X: pl.DataFrame) -> FloatArray:
        """Return the tags of a table, (n, M), in spreads."""
        return (self.model.readings(X) - self.centre) / self.spread

    def forecast_from(
        self, X: pl.DataFrame, origins: Any, horizon: int, quantiles: Sequence[float] | None
    ) -> FloatArray:
        """Return the model's forecasts in spreads."""
        ahead = self.model.forecast_from(X, origins, horizon, quantiles)
        shape = (1, 1, -1) if quantiles is None else (1, 1, -1, 1)
        return (ahead - self.centre.reshape(shape)) / self.spread.reshape(shape)


def record(report: BacktestReport, store: Store, run: str) -> None:
    """Leave the report in the store under the name of a run: metrics, and by step and level."""
    store.write_metrics(metric_rows(report, run))
    report.skill.write(store, run)


def metric_rows(report: BacktestReport, run: str) -> pl.DataFrame:
    """Return the report as rows of the table of metrics."""
    several = len(report.horizons) > 1
    suffix = pl.format(" at {}", "horizon") if several else pl.lit("")
    return (
        report.table.unpivot(METRICS, index=["asset", "model", "horizon"], variable_name="metric")
        .with_columns(pl.concat_str("metric", suffix).alias("metric"), run=pl.lit(run))
        .select("run", "asset", "model", "metric", "value")
    )
