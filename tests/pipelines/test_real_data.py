"""The recipes for public data: each finishes in minutes and beats its naive baselines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sensorssm_pipelines.jobs import run
from sensorssm_pipelines.jobs.backtest import BASELINES, MODEL
from sensorssm_pipelines.jobs.naive import NAIVE
from sensorssm_pipelines.jobs.recording import DETECTOR
from sensorssm_pipelines.jobs.report import RunReport
from sensorssm_pipelines.recipes import load_recipe
from sensorssm_pipelines.store import Store

RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"
DATA = os.environ.get("SENSORSSM_DATA")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        DATA is None, reason="SENSORSSM_DATA, the folder of public data, is not set"
    ),
]


def run_recipe(name: str, store: Path) -> RunReport:
    """Run a recipe; of its forecast origins every seventh, which takes a seventh of the time."""
    recipe = load_recipe(RECIPES / f"{name}.toml", store=store)
    if recipe.forecast is not None:
        fewer = recipe.forecast.model_copy(update={"stride": 7})
        recipe = recipe.model_copy(update={"forecast": fewer})
    return run.run(recipe, Store(store))[0]


def test_skab_beats_naive_scores(tmp_path: Path) -> None:
    """On 23 experiments the detector has a better F1 and a better ranking of rows."""
    report = run_recipe("skab", tmp_path)
    assert report.seconds < 600
    assert report.rows is not None and report.ingest.assets == 23
    by_model = {row["model"]: row for row in report.rows.table.iter_rows(named=True)}
    for naive in NAIVE:
        assert by_model[DETECTOR]["f1"] > by_model[naive]["f1"]
        assert by_model[DETECTOR]["vus_pr"] > by_model[naive]["vus_pr"]


def test_ett_beats_seasonal_naive_and_the_moving_average(tmp_path: Path) -> None:
    """At every horizon, in squared, absolute, scaled and quantile error."""
    report = run_recipe("ett", tmp_path)
    assert report.seconds < 600
    tested = report.backtest
    assert tested is not None and tested.horizons == [96, 192, 336, 720]
    for horizon in tested.horizons:
        for metric in ("mse", "mae", "mase", "pinball"):
            for baseline in BASELINES:
                ours = tested.mean(MODEL, metric, horizon)
                assert ours < tested.mean(baseline, metric, horizon), (horizon, metric)
    assert Store(tmp_path, read_only=True).read_forecasts("transformer-1").height > 0


@pytest.mark.parametrize("name", ["tep", "batadal"])
def test_a_reference_run_teaches_what_finds_the_faults_of_the_others(
    name: str, tmp_path: Path
) -> None:
    """By every measure of the recipe that needs no threshold, better than each naive score."""
    report = run_recipe(name, tmp_path)
    assert report.rows is not None and report.fit.assets == 1
    by_model = {row["model"]: row for row in report.rows.table.iter_rows(named=True)}
    measures = {"tep": ("found_at_1pc", "auc_pr"), "batadal": ("vus_pr", "auc_pr", "batadal")}
    for naive in NAIVE:
        for measure in measures[name]:
            assert by_model[DETECTOR][measure] > by_model[naive][measure], (naive, measure)


def test_gaps_are_neither_filled_nor_judged(tmp_path: Path) -> None:
    """Air quality: a seventh of the cells is missing, and the forecaster beats its baselines."""
    report = run_recipe("air-quality", tmp_path)
    account, tested = report.ingest.account, report.backtest
    assert account.missing == 16_701 and account.rows_in == account.cells - account.missing
    assert tested is not None
    for baseline in BASELINES:
        assert tested.mean(MODEL, "mse") < tested.mean(baseline, "mse")
