"""A draft takes a store's place whole, or leaves it as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from sensorssm.errors import SensorSSMError, StoreError
from sensorssm_pipelines.jobs import fit, judge, replay
from sensorssm_pipelines.jobs import run as run_job
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import Store, draft
from sensorssm_pipelines.store.draft import _exchanged

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
    assert sorted(files(store.path)) == names


@pytest.mark.parametrize("had", [True, False])
def test_an_exchange_that_fails_is_taken_back(tmp_path: Path, had: bool) -> None:
    """Folders that were moved before the database could not be written come back."""
    old, new = tmp_path / "history", tmp_path / ".draft" / "history"
    new.mkdir(parents=True)
    (new / "a").write_text("new")
    if had:
        old.mkdir()
        (old / "a").write_text("old")
    with pytest.raises(StoreError), _exchanged([(new, old)]):
        assert (old / "a").read_text() == "new"
        raise StoreError("the disk is full")
    assert files(old) == ({"a": b"old"} if had else {})


def test_a_locked_database_leaves_history_and_models_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange itself fails: what was moved already goes back."""
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


@pytest.mark.parametrize("is_new_in_place", [False, True])
def test_a_kill_in_the_exchange_loses_nothing(store: Store, is_new_in_place: bool) -> None:
    """What was set aside is back before the next draft begins, which here comes to nothing."""
    before = contents(store)
    (store.path / ".draft").mkdir()
    (store.path / "history").rename(store.path / ".draft" / "history.old")
    if is_new_in_place:
        (store.path / "history").mkdir()

    with pytest.raises(RuntimeError), draft(store):
        raise RuntimeError("stopped again")
    after = contents(store)
    assert all(before[name].equals(after[name]) for name in TABLES)


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
