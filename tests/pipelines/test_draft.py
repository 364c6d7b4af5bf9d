"""A draft takes a store's place whole, or leaves it as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sensorssm.errors import SensorSSMError, StoreError
from sensorssm_pipelines.jobs import fit, judge, replay
from sensorssm_pipelines.jobs import run as run_job
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import SCORES, Store, draft

TABLES = ("assets", "tags", "readings", "quarantine", "labels", "scores", "latest", "alarms",
          "alarm_events", "explanations", "forecasts", "metrics", "heartbeat", "skill", "calibration")  # fmt: skip
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def contents(store: Store) -> dict[str, pl.DataFrame]:
    return {name: getattr(store, f"read_{name}")() for name in TABLES}


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def fill(store: Store, asset: str) -> None:
    """Write a row into the database, a file of history, and a model."""
    store.write_assets(pl.DataFrame({"asset": [asset]}))
    store.write_readings(pl.DataFrame({"asset": asset, "time": [NOW], "tag": "t", "value": [1.0]}))
    model = store.path / "models" / asset
    model.mkdir(parents=True)
    (model / "model.json").write_text(asset)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    fill(store, "old")
    store.write_runs(pl.DataFrame({"run": ["r1"], "started": [NOW]}))
    return store


def test_a_draft_takes_the_place_of_all_but_the_runs(store: Store) -> None:
    with draft(store) as made:
        fill(made, "new")
        assert store.assets() == ["old"]
    assert store.assets() == ["new"]
    assert store.read_readings()["asset"].to_list() == ["new"]
    assert store.read_runs()["run"].to_list() == ["r1"]
    assert sorted(files(store.path / "models")) == ["new/model.json"]
    assert sorted(p.name for p in store.path.iterdir() if p.is_dir()) == ["history", "models"]


def test_models_stay_where_the_draft_has_none(store: Store) -> None:
    """An ingestion fits nothing; the models of before may still fit the new grid."""
    with draft(store) as made:
        made.write_assets(pl.DataFrame({"asset": ["new"]}))
    assert sorted(files(store.path / "models")) == ["old/model.json"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_draft_that_fails_leaves_no_trace(store: Store, error: type[BaseException]) -> None:
    before, names = contents(store), sorted(files(store.path))
    with pytest.raises(error), draft(store) as made:
        fill(made, "new")
        raise error
    after = contents(store)
    assert all(before[name].equals(after[name]) for name in TABLES)
    assert sorted({*names, ".lock"}) == sorted(files(store.path))


def test_a_locked_database_leaves_history_and_models_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange itself fails: nothing was moved."""
    monkeypatch.setattr("sensorssm_pipelines.store.database._BUSY_S", 0.05)
    before = contents(store)
    with pytest.raises(StoreError, match="locked"), draft(store) as made:
        fill(made, "new")
        writer = store._database.transaction()
        writer.__enter__()
    writer.__exit__(None, None, None)
    after = contents(store)
    assert all(before[name].equals(after[name]) for name in TABLES)
    assert sorted(files(store.path / "models")) == ["old/model.json"]


def test_what_a_killed_process_left_goes_with_the_next_draft(store: Store) -> None:
    litter = store.path / ".draft" / "history"
    litter.mkdir(parents=True)
    (litter / "half").write_text("x")
    with draft(store) as made:
        assert made.assets() == [] and not (made.path / "history").exists()
    assert not (store.path / ".draft").exists()


def test_two_jobs_do_not_work_in_one_store(store: Store) -> None:
    """The second is told so at once, and leaves the first one's draft alone."""
    with draft(store) as made:
        fill(made, "new")
        with pytest.raises(StoreError, match="another job is at work"), draft(Store(store.path)):
            pass
    assert store.assets() == ["new"]


def test_what_has_landed_is_not_moved_under_the_feet_of_a_job(store: Store) -> None:
    """While a job holds the store, another process that would move its folders is refused."""
    with draft(store) as made:
        fill(made, "new")
        store._database.take(made.path / "results.db", (), ["models"])  # as a kill leaves it
        with pytest.raises(StoreError, match="another job"):
            Store(store.path).land()
    Store(store.path).land()
    assert (store.path / "models" / "new" / "model.json").exists()


def test_a_part_leaves_the_rest_and_what_people_did(store: Store) -> None:
    """New scores replace scores, explanations and unseen alarms; an acknowledgement stays."""
    alarms = [{"id": name, "asset": "old", "state": "OPEN", "opened": NOW} for name in "abc"]
    store.write_alarms(pl.DataFrame(alarms))
    store.write_explanations(pl.DataFrame({"asset": "old", "time": [NOW], "tag": ["t"]}))
    store.acknowledge("a", "kim", "seen")
    with draft(store, SCORES) as made:
        store.label_alarm("b", "fault", "lee", "leak")  # while the job is at work
        made.write_alarms(pl.DataFrame([{**alarms[1], "state": "OPEN"}]))
        made.write_latest(pl.DataFrame([{"asset": "old", "time": NOW + timedelta(hours=1)}]))
    left = store.read_alarms().select("id", "state", "acknowledged_by", "cleared").rows()
    gone = ("a", "CLEARED", "kim", NOW + timedelta(hours=1))  # not raised again: it is over
    assert left == [gone, ("b", "ACKNOWLEDGED", "lee", None)]
    assert store.read_alarm_events()["kind"].to_list() == ["ACKNOWLEDGED", "LABELLED fault"]
    assert store.read_explanations().is_empty()
    assert store.assets() == ["old"] and store.read_readings().height == 1


def test_a_draft_knows_what_people_said(store: Store) -> None:
    store.write_alarms(pl.DataFrame([{"id": "a", "asset": "old", "opened": NOW, "cleared": NOW}]))
    store.label_alarm("a", "false_alarm", "kim", "a bird")
    with draft(store) as made:
        assert made.read_alarm_labels().select("kind", "ended").rows() == [("false_alarm", NOW)]
    assert store.read_alarm_labels()["who"].to_list() == ["kim"]


def wide(path: Path, step: float) -> Recipe:
    """Return a recipe over a small file of one tag, written anew."""
    rows = "".join(
        f"2026-01-{5 + k // 288:02d}T{k // 12 % 24:02d}:{k % 12 * 5:02d},{(k * step) % 7}\n"
        for k in range(600)
    )
    path.mkdir(exist_ok=True)
    (path / "w.csv").write_text(f"time,x\n{rows}")
    text = f"""
        name = "t"
        store = "{path / "store"}"
        [[sources]]
        path = "{path}"
        layout = "wide"
        asset = "a"
        [split]
        fit = 0.5
        [forecast]
        horizon = 4
        season = 12
        [detect]
        """
    return parse_recipe(text, "t.toml")


@pytest.mark.parametrize(
    ("module", "name"), [(fit, "run"), (replay, "run"), (judge, "run"), (fit, "save_models")]
)
def test_a_run_that_fails_after_ingestion_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    """Whatever part fails; only the table of runs tells of it."""
    store = Store(tmp_path / "store")
    run_job.run(wide(tmp_path, 1.3), store)
    before, kept = contents(store), files(store.path / "models")
    said = (store.path / "report.txt").read_text()

    def fail(*_: object, **__: object) -> None:
        raise SensorSSMError("no more room")

    monkeypatch.setattr(module, name, fail)
    with pytest.raises(SensorSSMError, match="no more room"):
        run_job.run(wide(tmp_path, 2.1), store)
    after = contents(store)
    for table in TABLES:
        assert_frame_equal(before[table], after[table])
    assert files(store.path / "models") == kept
    assert (store.path / "report.txt").read_text() == said
    assert store.read_runs()["status"].to_list() == ["DONE", "FAILED"]
