"""Row by row judgement: pooled over assets, by rows above the threshold and rows in alarm."""

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
            asset=pl.lit(asset),
            model=pl.lit("SSMDetector"),
            threshold=pl.lit(3.0),
            is_anomaly=pl.col("score") > 3.0,
        )
    )
    span = {"asset": asset, "kind": "leak", "started": times[faulty[0]], "ended": times[faulty[1]]}
    store.write_labels(pl.DataFrame([span]))


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(RECIPE, "r.toml")


@pytest.mark.parametrize(
    ("model", "hit", "false", "missed"),
    [("SSMDetector", 8, 3, 22), ("SSMDetector, while in alarm", 10, 2, 20)],
)
def test_rates_are_pooled_over_the_rows_of_all_assets(
    tmp_path: Path, recipe: Recipe, model: str, hit: int, false: int, missed: int
) -> None:
    """By hand, of 30 faulty and 170 normal rows: above the threshold, and while in alarm."""
    store = Store(tmp_path)
    # A lone row (60) opens nothing; a pause of two rows (103, 104) stays inside one alarm.
    fill(store, "a", [60, *range(98, 103), *range(105, 110)], (100, 120))
    fill(store, "bb", [], (50, 60))
    report = rows.run(recipe, store)
    assert report is not None
    row = report.table.filter(model=model).row(0, named=True)
    assert row["f1"] == pytest.approx(2 * hit / (2 * hit + false + missed))
    assert row["false_alarm_rate"] == pytest.approx(false / 170)
    assert row["missed_alarm_rate"] == pytest.approx(missed / 30)
    assert set(report.table["model"]) == {"SSMDetector", "SSMDetector, while in alarm", *NAIVE}


def test_a_reference_lends_the_naive_scores_its_rows_too(tmp_path: Path) -> None:
    """Beside a reference asset every row is judged, and the judged rows teach nothing."""
    store = Store(tmp_path)
    recipe = parse_recipe(RECIPE.replace("fit = 40", "fit = 1.0\nreference = 'a'"), "r.toml")
    fill(store, "a", [], (100, 120))
    fill(store, "bb", [], (70, 80))
    early = pl.DataFrame({"time": [START + timedelta(minutes=k) for k in range(FIT)]})
    store.write_scores(
        early.with_columns(
            asset=pl.lit("bb"), model=pl.lit("SSMDetector"), score=1.0, threshold=3.0,
            is_anomaly=False,
        )
    )  # fmt: skip
    report = rows.run(recipe, store)
    assert report is not None
    noise = report.table.filter(model="distance").row(0, named=True)
    assert 0 <= noise["false_alarm_rate"] < 0.1 and noise["missed_alarm_rate"] > 0.5


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
    assert stored.height == 3 + 4 * (1 + len(NAIVE))  # no volume of rows in alarm
    assert stored.filter(model="SSMDetector", metric="f1")["value"].item() == 1.0
