"""The comparison of rival forecasters: one table, on the same rows, with what each costs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from sensorssm import estimators
from sensorssm_pipelines import cli
from sensorssm_pipelines.jobs import compare
from sensorssm_pipelines.jobs.report import table as as_table
from sensorssm_pipelines.recipes import load_recipe
from sensorssm_pipelines.store import Store

RECIPE = """
name = "wave"
store = "{folder}/results"

[[sources]]
path = "{folder}/raw.csv"
layout = "wide"
asset = "pump"

[split]
fit = 0.6
valid = 0.8

[forecast]
horizon = 12
horizons = [4, 12]
season = 24

[baselines]
season = 24
"""


def call(*words: object) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a recipe whose 600 readings of a noisy daily wave are ingested; networks are tiny."""
    tiny = {"steps": 2, "width": 8, "layers": 1, "segment": 24, "context": 48}
    monkeypatch.setattr(
        estimators, "NeuralForecaster", partial(estimators.NeuralForecaster, **tiny)
    )
    rng = np.random.default_rng(0)
    wave = 50 + 10 * np.sin(2 * np.pi * np.arange(600) / 24) + rng.standard_normal(600)
    hours = np.datetime64("2026-01-05", "s") + np.arange(600) * np.timedelta64(1, "h")
    lines = [f"{hour}Z,{value:.4f}" for hour, value in zip(hours, wave, strict=True)]
    (tmp_path / "raw.csv").write_text("\n".join(["time,flow", *lines]) + "\n")
    path = tmp_path / "wave.toml"
    path.write_text(RECIPE.format(folder=tmp_path))
    assert call("ingest", path).exit_code == 0
    return path


def test_every_model_is_judged_on_the_same_origins(recipe: Path) -> None:
    """All models, both horizons: finite figures, the wave's own model best, costs that are sane."""
    settings = load_recipe(recipe)
    report = compare.run(settings, Store(settings.store), compare.MODELS)
    assert report is not None
    rows = report.summary()

    assert rows["model"].to_list() == [*compare.MODELS] * 2
    assert report.origins == (120 - 4 + 1) + (120 - 12 + 1)
    errors = {row["model"]: row["mase"] for row in rows.iter_rows(named=True)}
    assert all(np.isfinite(error) for error in errors.values())
    assert min(errors["ssm"], errors["dlinear"]) < errors["seasonal_naive"] < errors["ewma"]
    versus = {row["model"]: row["dm"] for row in rows.iter_rows(named=True)}
    assert versus["ssm"] == 0.0  # against itself
    assert versus["ewma"] > 2.0  # a wave's mean is surely worse
    state = {row["model"]: row["state_bytes"] for row in rows.iter_rows(named=True)}
    assert state["dlinear"] == 336 * 8  # the window, one tag, in float64
    assert state["attention"] > state["lstm"]
    assert rows.filter(rows["step_us"].is_not_null())["step_us"].min() > 1


def test_the_command_prints_the_table_and_keeps_its_figures(recipe: Path) -> None:
    """The order is the one asked for; the store holds the metrics and a run that is done."""
    said = call("backtest", recipe, "--models", "dlinear, seasonal_naive")
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()[-5:]
    assert lines[0].split()[:4] == ["forecast", "MASE", "pinball", "MSE"]
    assert [line.split()[0] for line in lines[1:]] == ["dlinear", "seasonal_naive"] * 2

    store = Store(recipe.with_name("results"), read_only=True)
    metrics = store.read_metrics()
    assert {"mase at 4", "dm at 12", "fit_s at 12", "state_bytes at 4"} <= set(metrics["metric"])
    assert store.read_runs()["status"].to_list() == ["DONE"] * 2


@pytest.mark.parametrize("models", ["ssm,arima", "ssm,ssm", "", "SSM"])
def test_a_wrong_list_of_models_is_refused(recipe: Path, models: str) -> None:
    """A name that is no model, or comes twice, is one line and status 2; nothing is fitted."""
    said = call("backtest", recipe, "--models", models)

    assert said.exit_code == 2
    assert "seasonal_naive" in said.stderr and len(said.stderr.splitlines()) == 1


def test_a_table_may_have_holes() -> None:
    """A cost that a model does not have leaves its column a column of numbers."""
    assert as_table(["name", "us"], [["a", "12"], ["b", ""]]).splitlines()[1].endswith(" 12")
