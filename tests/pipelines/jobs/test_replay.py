"""Replay and scoring: forecasts stand on the model's own steps, and a second pass replaces all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sensorssm.errors import DataError, SensorSSMError
from sensorssm.estimators import SSMDetector
from sensorssm_pipelines.jobs import fit, ingest, judge, replay, score
from sensorssm_pipelines.jobs.labels import kinds_of
from sensorssm_pipelines.jobs.models import model_folder
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
ROWS, EVERY, MINUTE = 400, 50, timedelta(minutes=1)
RECIPE = """
name = "pump"
store = "unused"
[[sources]]
path = "{path}"
layout = "wide"
asset = "pump"
[split]
fit = 0.5
[forecast]
horizon = 3
season = 24
store_every = 50
[detect]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """Return a recipe on readings a minute apart, but an hour before every 50th one."""
    hours = np.arange(ROWS) // EVERY
    times = [START + (k - h) * MINUTE + h * 60 * MINUTE for k, h in enumerate(hours.tolist())]
    noise = np.random.default_rng(0).normal(size=ROWS)
    noise[300:310] += 40.0
    pl.DataFrame({"time": times, "flow": noise}).write_parquet(tmp_path / "raw.parquet")
    return parse_recipe(RECIPE.format(path=tmp_path / "raw.parquet"), "pump.toml")


@pytest.fixture
def store(tmp_path: Path, recipe: Recipe) -> Store:
    """Return a store with the readings and the fitted models."""
    store = Store(tmp_path / "results")
    ingest.run(recipe, store)
    fit.run(recipe, store)
    return store


def test_forecasts_are_a_step_of_the_model_apart_after_a_gap_too(
    recipe: Recipe, store: Store
) -> None:
    replay.run(recipe, store)
    forecasts = store.read_forecasts()
    assert forecasts["origin"].n_unique() == ROWS // 2 // EVERY + 1
    assert (forecasts["time"] == forecasts["origin"] + forecasts["step"] * MINUTE).all()


def test_a_second_score_replaces_what_the_first_left(recipe: Recipe, store: Store) -> None:
    """A later mark leaves no score, explanation or alarm of the rows before it."""
    score.run(recipe, store)
    assert store.read_alarms().height > 0
    late = recipe.model_copy(update={"split": recipe.split.model_copy(update={"score": 350})})
    report = score.run(late, store)
    begin = store.read_readings()["time"][350]
    for rows in (store.read_scores(), store.read_explanations()):
        assert rows.height == report.instants == 50
        assert rows["time"].min() == begin
    alarms = store.read_alarms()
    assert alarms.height == report.alarms
    assert (alarms["opened"] >= begin).all()
    assert set(store.read_alarm_events()["alarm_id"]) == set(alarms["id"])


def test_shelved_alarms_are_recorded_but_not_counted(recipe: Recipe, store: Store) -> None:
    """By the job that scores all at once, by the one that replays, and by the judge."""
    assert score.run(recipe, store).alarms == store.read_alarms().height > 0
    recorded, times = store.read_alarms()["id"].to_list(), store.read_scores()["time"]
    shelf = {"asset": "pump", "started": times.min(), "ended": times.max() + MINUTE}
    store.write_shelves(pl.DataFrame([shelf]))
    assert judge.run(recipe, store).normal_weeks == 0
    for job in (score, replay):
        assert job.run(recipe, store).alarms == 0
        assert store.read_alarms()["id"].to_list() == recorded
        assert store.read_alarms()["state"].unique().to_list() == ["SHELVED"]
    assert judge.run(recipe, store).false_alarms == 0


def test_an_acknowledged_alarm_stays_so_when_it_is_raised_again(
    recipe: Recipe, store: Store
) -> None:
    score.run(recipe, store)
    alarm = store.read_alarms()["id"][0]
    store.acknowledge(alarm, "shift lead", "seen")
    score.run(recipe, store)
    again = store.read_alarms().row(by_predicate=pl.col("id") == alarm, named=True)
    assert again["acknowledged_by"] == "shift lead"
    assert "ACKNOWLEDGED" in store.read_alarm_events()["kind"].to_list()


def test_a_false_alarm_raises_the_threshold_until_it_is_silent(
    recipe: Recipe, store: Store
) -> None:
    """By the next score and by a new fit; what was said stays, and a fault bounds it."""
    score.run(recipe, store)
    [alarm] = store.read_alarms().filter(pl.col("peak_score") == pl.col("peak_score").max())["id"]
    store.label_alarm(alarm, "false_alarm", "kim", "the test of the pump")
    report = score.run(recipe, store)
    fitted, moved = report.moved["pump"]
    assert moved > fitted and store.read_scores()["threshold"].unique().to_list() == [moved]
    assert report.alarms == 0
    [still_known] = store.read_alarms().to_dicts()  # acknowledged, so kept, and over
    assert (still_known["id"], still_known["state"]) == (alarm, "CLEARED")
    assert fit.run(recipe, store).moved["pump"][1] == pytest.approx(moved)
    assert replay.run(recipe, store).alarms == 0

    store.label_alarm(alarm, "fault", "lee", "no, it was the seal")
    assert score.run(recipe, store).moved == {}
    assert alarm in store.read_alarms().filter(pl.col("state") == "CLEARED")["id"].to_list()


def test_the_tag_of_the_operating_mode_reaches_the_detector(recipe: Recipe, store: Store) -> None:
    """By name; and a name that no tag has is refused, with the models left as they were."""
    named = recipe.detect.model_copy(update={"modes": "auto"})  # pyright: ignore
    fit.run(recipe.model_copy(update={"detect": named}), store)
    assert SSMDetector.load(model_folder(store, "pump") / "detector").modes == "auto"
    wrong = named.model_copy(update={"modes": "pressure"})
    with pytest.raises(SensorSSMError, match="pressure"):
        fit.run(recipe.model_copy(update={"detect": wrong}), store)
    assert SSMDetector.load(model_folder(store, "pump") / "detector").modes == "auto"


def test_what_was_called_a_fault_is_not_learnt(recipe: Recipe, store: Store) -> None:
    """A labelled stretch among the rows to learn from is left out, as a known fault is."""
    early = store.read_readings()["time"][50:60]
    alarm = {"id": "x", "asset": "pump", "opened": early[0], "cleared": early[-1]}
    store.write_alarms(pl.DataFrame([alarm]))
    kinds = kinds_of(store.read_readings()["time"], store.read_alarm_labels("pump"))
    assert not kinds.any()
    store.label_alarm("x", "maintenance", "kim", "oil change")
    kinds = kinds_of(store.read_readings()["time"], store.read_alarm_labels("pump"))
    assert np.flatnonzero(kinds == "maintenance").tolist() == list(range(50, 59))
    learnt: list[np.ndarray] = []

    def note(self: SSMDetector, X: object, y: object = None, *, labels: np.ndarray) -> SSMDetector:
        learnt.append(labels == "")
        return real(self, X, labels=labels)

    real = SSMDetector.fit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SSMDetector, "fit", note)
        fit.run(recipe, store)
    assert np.flatnonzero(~learnt[0]).tolist() == list(range(50, 59))


def test_a_score_that_cannot_start_leaves_the_results(recipe: Recipe, store: Store) -> None:
    score.run(recipe, store)
    before = store.read_scores()
    store.write_assets(pl.DataFrame({"asset": ["zero"]}))  # after "pump", and without readings
    with pytest.raises(DataError, match="zero"):
        score.run(recipe, store)
    assert store.read_scores().equals(before)
