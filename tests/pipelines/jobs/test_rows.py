"""Row by row judgement: pooled over assets, by the alarms that the recipe's delays give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sensorssm_pipelines.jobs import rows
from sensorssm_pipelines.jobs.naive import NAIVE
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
FIT, ROWS = 40, 140
RECIPE = """
name = "r"
store = "s"
[[sources]]
path = "p"
layout = "wide"
asset = "a"
[split]
fit = 40
[detect]
[alarms]
on_delay = 2
off_delay = 3
"""


def fill(store: Store, asset: str, above: list[int], faulty: tuple[int, int]) -> None:
    """Store an asset whose scores are 5 at rows `above` (threshold 3) and 1 elsewhere."""
    times = [START + timedelta(minutes=k) for k in range(ROWS)]
    values = np.random.default_rng(len(asset)).normal(size=ROWS)
    store.write_assets(pl.DataFrame({"asset": [asset]}))
    store.write_readings(
        pl.DataFrame({"time": times, "value": values}).with_columns(
            asset=pl.lit(asset), tag=pl.lit("flow")
        )
    )
    scores = [5.0 if k in above else 1.0 for k in range(FIT, ROWS)]
    store.write_scores(
        pl.DataFrame({"time": times[FIT:], "score": scores}).with_columns(
            asset=pl.lit(asset), model=pl.lit("SSMDetector"), threshold=pl.lit(3.0)
        )
    )
    span = {"asset": asset, "kind": "leak", "started": times[faulty[0]], "ended": times[faulty[1]]}
    store.write_labels(pl.DataFrame([span]))


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(RECIPE, "r.toml")


def test_rates_are_pooled_over_the_rows_of_all_assets(tmp_path: Path, recipe: Recipe) -> None:
    """By hand: 10 rows hit of 30 faulty ones, 2 false rows of 170 normal ones."""
    store = Store(tmp_path)
    # A lone row (60) opens nothing; a pause of two rows (103, 104) stays inside one alarm.
    fill(store, "a", [60, *range(98, 103), *range(105, 110)], (100, 120))
    fill(store, "bb", [], (50, 60))
    report = rows.run(recipe, store)
    assert report is not None
    row = report.table.filter(model="SSMDetector").row(0, named=True)
    hit, false, missed = 10, 2, 20
    assert row["f1"] == pytest.approx(2 * hit / (2 * hit + false + missed))
    assert row["false_alarm_rate"] == pytest.approx(false / 170)
    assert row["missed_alarm_rate"] == pytest.approx(missed / 30)
    assert set(report.table["model"]) == {"SSMDetector", *NAIVE}


def test_a_score_that_ranks_every_faulty_row_first_fills_the_volume(
    tmp_path: Path, recipe: Recipe
) -> None:
    store = Store(tmp_path)
    fill(store, "a", list(range(70, 100)), (70, 100))
    report = rows.run(recipe, store)
    assert report is not None
    volume = dict(report.table.select("model", "vus_pr").rows())
    assert volume["SSMDetector"] > 0.95
    assert volume["SSMDetector"] > volume["random"] + 0.1


def test_without_labels_there_is_nothing_to_judge(tmp_path: Path, recipe: Recipe) -> None:
    assert rows.run(recipe, Store(tmp_path)) is None


def test_the_table_of_metrics_holds_the_report(tmp_path: Path, recipe: Recipe) -> None:
    store = Store(tmp_path)
    fill(store, "a", list(range(70, 100)), (70, 100))
    report = rows.run(recipe, store)
    assert report is not None
    store.write_metrics(rows.metric_rows(report, "run 1"))
    stored = store.read_metrics("all")
    assert stored.height == 4 * (1 + len(NAIVE))
    assert stored.filter(model="SSMDetector", metric="f1")["value"].item() == 1.0
