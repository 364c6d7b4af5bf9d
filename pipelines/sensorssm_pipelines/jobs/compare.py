"""Job: fit rival forecasters on the same rows; judge what they tell, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import polars as pl

from sensorssm.errors import ConfigError
from sensorssm.names import TIME
from sensorssm_pipelines.jobs.backtest import METRICS, InSpreads
from sensorssm_pipelines.jobs.models import assets_of, readings_of
from sensorssm_pipelines.jobs.report import table as as_table
from sensorssm_pipelines.jobs.skill import Skill, Watched
from sensorssm_pipelines.jobs.spans import Spans, spans_of
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store

#: The layers of networks that differ in nothing else.
LAYERS = ("selective", "fixed", "s4d", "lstm", "attention")
#: What can be compared, by the name it has in the table.
MODELS = ("ssm", "seasonal_naive", "ewma", "dlinear", *LAYERS)
#: What a model costs: seconds of its fit, microseconds to read one row online, bytes of state.
COSTS = ("fit_s", "step_us", "state_bytes")
#: Against the first model: the statistic of Diebold and Mariano, negative where this one is better.
VERSUS = "dm"

#: Rows that are streamed to time a step, and those before them that only warm up.
_TIMED, _WARM = 200, 20


@dataclass(frozen=True)
class CompareReport:
    """One row an asset, model and horizon: means of `METRICS` over origins, `VERSUS`, `COSTS`."""

    origins: int
    table: pl.DataFrame
    skill: Skill = field(default_factory=Skill, repr=False)

    def summary(self) -> pl.DataFrame:
        """Return means over the assets, one row a horizon and model, in the order compared."""
        # Assets are independent, so their statistics add up as normal numbers do (Stouffer).
        versus = pl.col(VERSUS).sum() / pl.len().sqrt()
        return self.table.group_by("horizon", "model", maintain_order=True).agg(
            pl.col(*METRICS).mean(), versus, pl.col(*COSTS).mean()
        )

    def metric_rows(self, run: str) -> pl.DataFrame:
        """Return the report as rows of the table of metrics."""
        wide = self.table.with_columns(pl.col("state_bytes").cast(pl.Float64))
        rows = wide.unpivot(
            [*METRICS, VERSUS, *COSTS], index=["asset", "model", "horizon"], variable_name="metric"
        )
        named = pl.format("{} at {}", "metric", "horizon")
        rows = rows.drop_nulls("value").with_columns(metric=named, run=pl.lit(run))
        return rows.select("run", "asset", "model", "metric", "value")


def check_models(names: str) -> tuple[str, ...]:
    """Return the models in a list with commas.

    Raises
    ------
    ConfigError : a name that is no model, or comes twice.
    """
    wanted = tuple(name.strip() for name in names.split(","))
    unknown = [name for name in wanted if name not in MODELS]
    if unknown or len(set(wanted)) < len(wanted):
        wrong = f"unknown {unknown[0]!r}" if unknown else "one name comes twice"
        raise ConfigError(f"--models {names}: {wrong}. Choose from {','.join(MODELS)}.")
    return wanted


def run(
    recipe: Recipe, store: Store, models: Sequence[str], progress: Progress = silent
) -> CompareReport | None:
    """Fit every model on each asset's fit span, one a horizon, and judge it on the test span.

    Without a forecaster in the recipe there is nothing to judge, and no report.
    """
    if recipe.forecast is None:
        return None
    assets, parts, origins, skill = assets_of(store), [], 0, Skill()
    cases = [(a, h) for a in assets for h in _horizons(recipe)]
    for number, (asset, horizon) in enumerate(cases):
        readings = readings_of(store, asset)
        spans = spans_of(recipe.split, readings[TIME], asset)
        fitted, costs = {}, []
        for at, model in enumerate(models):
            progress("comparing models", number * len(models) + at, len(cases) * len(models))
            fitted[model], cost = _fitted(recipe, readings, spans, model, horizon)
            costs.append({"asset": asset, "horizon": horizon} | cost)
        judged = _judged(recipe, readings, spans, fitted, horizon)
        if horizon == max(_horizons(recipe)):
            for model, watched in fitted.items():
                skill.add(asset, model, watched)
        origins += judged["origins"][0]
        rows = [dict(zip(judged, row, strict=True)) for row in zip(*judged.values(), strict=True)]
        parts += [row | cost for row, cost in zip(rows, costs, strict=True)]
    progress("comparing models", len(cases) * len(models), len(cases) * len(models))
    kept = ["asset", "model", "horizon", *METRICS, VERSUS, *COSTS]
    table = pl.DataFrame(parts, infer_schema_length=None).select(kept)
    return CompareReport(origins, table, skill)


def as_text(report: CompareReport) -> str:
    """Return the comparison as a table, a row for each model."""
    several, first = report.table["horizon"].n_unique() > 1, report.table["model"][0]
    rows = [
        [
            f"{row['model']} at {row['horizon']}" if several else row["model"],
            *(f"{row[name]:.3f}" for name in ("mase", "pinball", "mse", "mae")),
            f"{row[VERSUS]:+.1f}" if row["model"] != first else "",
            f"{row['coverage']:.1%}",
            f"{row['fit_s']:.1f}",
            f"{row['step_us']:.0f}",
            f"{row['state_bytes']:.0f}",
        ]
        for row in report.summary().iter_rows(named=True)
    ]
    head = ["forecast", "MASE", "pinball", "MSE", "MAE", f"DM to {first}", "in 80 % band"]
    costs = ["fit s", "us a step", "state bytes"]
    steps = " or ".join(str(h) for h in report.table["horizon"].unique(maintain_order=True))
    return (
        f"Forecasts of {steps} steps from {report.origins:,} origins (errors in spreads of each "
        f"tag: less is better; the band should hold 80 %; a DM beyond -2 or +2 is better or worse "
        f"than {first} by more than luck)\n{as_table([*head, *costs], rows)}"
    )


def _horizons(recipe: Recipe) -> list[int]:
    assert recipe.forecast is not None
    return recipe.forecast.horizons or [recipe.forecast.horizon]


def _fitted(
    recipe: Recipe, readings: pl.DataFrame, spans: Spans, model: str, horizon: int
) -> tuple[Watched, dict[str, Any]]:
    """Return one model, fitted on one asset and watched, and its costs."""
    learned, chosen = readings[: spans.fit], readings[spans.fit : spans.valid]
    makers = _makers(recipe, horizon)
    begun = perf_counter()
    # The baselines have nothing to choose.
    later = {} if model in ("seasonal_naive", "ewma") or chosen.is_empty() else {"X_val": chosen}
    fitted = makers[model]().fit(learned, **later)
    costs = {"fit_s": perf_counter() - begun} | _costs_online(fitted, readings)
    tags = [name for name in readings.columns if name != TIME]
    return Watched(InSpreads.of(fitted, learned), tags), costs


def _judged(
    recipe: Recipe, readings: pl.DataFrame, spans: Spans, fitted: dict[str, Any], horizon: int
) -> dict[str, list[Any]]:
    """Return the metrics of fitted models on one asset's test span, columns of a table."""
    from sensorssm.evaluation import backtest

    assert recipe.forecast is not None
    return backtest(
        fitted,
        readings[: spans.test],
        horizon=horizon,
        first=spans.valid - 1,
        stride=recipe.forecast.stride,
        season=recipe.baselines.season,
        batch=2048,
    )


def _makers(recipe: Recipe, horizon: int) -> dict[str, Callable[[], Any]]:
    """Return what makes each model, with the recipe's settings where it has any."""
    from sensorssm.estimators import EWMA, DLinear, NeuralForecaster, SeasonalNaive, SSMForecaster

    wanted, naive = recipe.forecast, recipe.baselines
    assert wanted is not None

    def network(layer: Any) -> Callable[[], Any]:
        return lambda: NeuralForecaster(layer=layer, horizon=horizon, random_state=recipe.seed)

    return {
        "ssm": lambda: SSMForecaster(
            horizon=horizon,
            season=wanted.season,
            memory=wanted.memory,
            lags=wanted.lags,
            random_state=recipe.seed,
        ),
        "seasonal_naive": lambda: SeasonalNaive(season=naive.season, horizon=horizon),
        "ewma": lambda: EWMA(span=naive.span, horizon=horizon),
        "dlinear": lambda: DLinear(horizon=horizon),
        **{layer: network(layer) for layer in LAYERS},
    }


def _costs_online(model: Any, readings: pl.DataFrame) -> dict[str, float | int]:
    """Return the median time to read one row, and the bytes that are kept between rows."""
    stream, times = model.stream(), []
    for row in model.readings(readings[: _WARM + _TIMED]):
        begun = perf_counter()
        stream.update(row)
        times.append(perf_counter() - begun)
    size = sum(part.nbytes for part in stream.snapshot().values())
    return {"step_us": 1e6 * float(np.median(times[_WARM:])), "state_bytes": size}
