"""The demo from nothing to its report, on a plant of a few days, and in full."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sensorssm_pipelines.jobs import demo, score
from sensorssm_pipelines.jobs.backtest import BASELINES, MODEL
from sensorssm_pipelines.jobs.naive import NAIVE
from sensorssm_pipelines.jobs.recording import DETECTOR
from sensorssm_pipelines.jobs.report import RunReport
from sensorssm_pipelines.jobs.rows import IN_ALARM
from sensorssm_pipelines.store import Store


@dataclass(frozen=True)
class Done:
    """A demo that has run."""

    folder: Path
    report: RunReport
    text: str
    steps: list[str]

    @property
    def store(self) -> Store:
        return Store(self.folder, read_only=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Return the demo of two assets over eight days."""
    folder = tmp_path_factory.mktemp("demo") / "runs"
    steps: list[str] = []
    report, text = demo.run(folder, lambda step, done, total: steps.append(step), days=8)
    return Done(folder, report, text, steps)


def test_every_raw_reading_is_accounted_for(tiny: Done) -> None:
    """The files' rows, counted by another reader, are those of the account."""
    rows = 0
    for path in (tiny.folder / "raw").glob("*.csv"):
        with path.open(newline="") as file:
            rows += sum(1 for _ in csv.reader(file)) - 1
    account = tiny.report.ingest.account
    assert account.rows_in == rows
    assert rows == account.rows_out + account.deduplicated + account.quarantined
    assert min(account.deduplicated, account.quarantined, account.late, account.missing) > 0
    assert tiny.store.read_quarantine().height == account.quarantined
    assert tiny.store.read_readings().height == account.cells
    graded = tiny.store.read_grades()
    assert graded.height == tiny.report.ingest.tags
    in_quarantine = tiny.store.read_quarantine().drop_nulls(["asset", "tag"]).height
    assert graded["quarantined"].sum() == in_quarantine


def test_the_store_holds_what_the_dashboard_draws(tiny: Done) -> None:
    store = tiny.store
    assert store.assets() == ["skid-1", "skid-2"]
    instants = tiny.report.replay.instants if tiny.report.replay else 0
    scores, explanations = store.read_scores(), store.read_explanations()
    assert scores.height == instants > 1500
    tags = store.read_tags("skid-1").height
    assert explanations.height == instants * tags
    assert store.read_latest().height == 2
    assert store.read_labels().height == 8
    assert store.read_heartbeat()["process"].to_list() == ["replay"]
    forecasts = store.read_forecasts("skid-1")
    assert forecasts.filter(pl.col("q10") > pl.col("q90")).is_empty()
    assert forecasts.filter(pl.col("time") <= pl.col("origin")).is_empty()
    assert {"q10", "q50", "q90"} <= set(forecasts.drop_nulls().columns)


def test_scores_and_shares_are_those_of_the_saved_model_in_one_pass(tiny: Done) -> None:
    """What was stepped online, instant by instant, is the batch score of the saved model."""
    from sensorssm.estimators import SSMDetector
    from sensorssm_pipelines.ingest import to_wide

    store = tiny.store
    detector = SSMDetector.load(tiny.folder / "models" / "skid-1" / "detector")
    readings = to_wide(store.read_readings("skid-1"), "skid-1")
    stored = store.read_scores("skid-1")
    batch = detector.anomaly_score(readings)[-stored.height :]
    np.testing.assert_allclose(stored["score"].fill_null(np.nan).to_numpy(), batch, rtol=1e-6)
    shares = store.read_explanations("skid-1").group_by("time").agg(pl.col("contribution").sum())
    np.testing.assert_allclose(shares["contribution"].to_numpy(), 1.0, atol=1e-9)


def test_one_pass_leaves_what_the_replay_left(tiny: Done, tmp_path: Path) -> None:
    """`score` over the same models gives the same scores, alarms and states as stepping did."""
    copy = tmp_path / "copy"
    shutil.copytree(tiny.folder, copy)
    store = Store(copy)
    for table in ("scores", "alarms", "alarm_events", "latest"):
        with closing(sqlite3.connect(copy / "results.db")) as connection, connection:
            connection.execute(f"DELETE FROM {table}")
    report = score.run(demo.recipe_of(copy), store)
    assert tiny.report.replay is not None and report.instants == tiny.report.replay.instants
    for table in ("scores", "alarms", "latest"):
        read = f"read_{table}"
        assert_frame_equal(getattr(store, read)(), getattr(tiny.store, read)(), rel_tol=1e-6)


def test_alarms_are_told_in_order_and_in_words(tiny: Done) -> None:
    store = tiny.store
    alarms, events = store.read_alarms(), store.read_alarm_events()
    assert tiny.report.replay is not None and alarms.height == tiny.report.replay.alarms > 0
    opened = events.filter(kind="OPENED")
    assert sorted(opened["alarm_id"]) == sorted(alarms["id"])
    assert events.filter(kind="CLEARED").height == alarms.filter(state="CLEARED").height
    for alarm in alarms.iter_rows(named=True):
        assert alarm["message"].startswith(alarm["first_tag"])
        assert "expected" in alarm["message"]
        assert alarm["first_tag"] in set(store.read_tags()["tag"])
        assert len(json.loads(alarm["tags"])) == 3
        assert alarm["cleared"] is None or alarm["cleared"] > alarm["opened"]


def test_the_report_is_printed_and_stored(tiny: Done) -> None:
    for words in (
        "readings per second", "Fitted 2 assets", "MASE", "SeasonalNaive", "EWMA", "80 % band",
        "of 8 found", "first tag named", "false alarm", "p50", "p99", "Results in",
    ):  # fmt: skip
        assert words in tiny.text
    assert (tiny.folder / "report.txt").read_text() == tiny.text + "\n"
    assert (tiny.folder / "report.html").read_text().count("<section class=") == 8
    stored = json.loads((tiny.folder / "report.json").read_text())
    assert stored["ingest"]["account"]["rows_in"] == tiny.report.ingest.account.rows_in
    run = tiny.store.read_runs().row(0, named=True)
    assert run["status"] == "DONE"
    assert json.loads(run["report"])["run"]["faults"]["faults"][0]["fault"]
    metrics = tiny.store.read_metrics()
    assert set(metrics["model"]) == {MODEL, *BASELINES, DETECTOR, IN_ALARM, *NAIVE}
    assert metrics["value"].is_finite().all()


def test_long_steps_show_progress(tiny: Done) -> None:
    for step in ("simulating", "reading files", "fitting", "backtesting", "replaying"):
        assert any(step in told for told in tiny.steps)


@pytest.mark.slow
def test_the_full_demo_keeps_its_promises(tmp_path: Path) -> None:
    """The default plant: better than naive, honest bands, faults found, few false alarms."""
    report, _ = demo.run(tmp_path / "demo")
    assert report.seconds < 240
    tested, faults = report.backtest, report.faults
    assert tested is not None and faults is not None
    for baseline in BASELINES:
        assert tested.mean(MODEL, "mase") < tested.mean(baseline, "mase")
        assert tested.mean(MODEL, "pinball") < tested.mean(baseline, "pinball")
    assert 0.75 <= tested.mean(MODEL, "coverage") <= 0.85
    assert faults.found >= 7
    assert faults.right_tags >= 6
    assert faults.false_alarms_per_week <= 1
