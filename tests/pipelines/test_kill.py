"""A process that is killed loses nothing: the store holds all of before or all of after."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from sensorssm_pipelines.cli import main
from sensorssm_pipelines.store import Store, draft

NOW = datetime(2026, 1, 5, tzinfo=UTC)

#: Rebuild a store; the kernel's own SIGKILL falls on the n-th step that touches the disk.
REBUILD = """
import os, signal, sys
from pathlib import Path
from sensorssm_pipelines.store import Store, draft
sys.path.insert(0, sys.argv[3])
from test_kill import fill

store, left = Store(sys.argv[1]), int(sys.argv[2])
STEPS = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect"}

def count(event, args):
    global left
    if event in STEPS:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count)
with draft(store) as made:
    fill(made, "new")
"""


def fill(store: Store, asset: str) -> None:
    """Write a row into the database, one into history, and a model."""
    store.write_assets(pl.DataFrame({"asset": [asset]}))
    store.write_readings(pl.DataFrame({"asset": asset, "time": [NOW], "tag": "t", "value": [1.0]}))
    (store.path / "models").mkdir()
    (store.path / "models" / "name").write_text(asset)


def held(folder: Path) -> tuple[str, str]:
    """Return whose row the database holds, and whose the history, as a reader finds them."""
    store = Store(folder, read_only=True)
    return store.assets()[0], store.read_readings()["asset"].item()


def rebuild(folder: Path, kill_at: int) -> int:
    """Rebuild a store in a process of its own; return how that ended."""
    command = [sys.executable, "-c", REBUILD, str(folder), str(kill_at), str(Path(__file__).parent)]
    return subprocess.run(command, check=False, timeout=120).returncode


def test_a_kill_at_any_step_leaves_one_run_whole(tmp_path: Path) -> None:
    """Readers see one run before anything is repaired, and the next job finds the models too."""
    fill(Store(tmp_path / "old"), "old")
    ended, seen = 0, []
    for kill_at in range(1, 200, 4):
        folder = tmp_path / str(kill_at)
        shutil.copytree(tmp_path / "old", folder)
        ended = rebuild(folder, kill_at)
        database, history = held(folder)
        assert database == history, f"mixed after a kill at step {kill_at}"
        with pytest.raises(KeyError), draft(Store(folder)):
            raise KeyError("the next job fails")
        assert held(folder) == (database, database)
        assert (folder / "models" / "name").read_text() == database
        seen.append(database)
        if ended == 0:  # there are fewer steps than that
            break
        assert ended == -signal.SIGKILL
    assert ended == 0 and seen == sorted(seen, reverse=True) and seen.count("old") > 3
    assert seen.count("new") > 3


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Return a recipe whose readings are ingested, fitted and scored."""
    rows = "".join(f"{1_767_600_000 + 60 * k},{k * 37 % 101},{k * 53 % 89}\n" for k in range(6000))
    (tmp_path / "raw.csv").write_text(f"time,flow,level\n{rows}")
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'name = "r"\nstore = "{tmp_path / "store"}"\n[[sources]]\npath = "{tmp_path / "raw.csv"}"\n'
        'layout = "wide"\nasset = "a"\ntime_format = "epoch_s"\n[split]\nfit = 300\n[detect]\n'
    )
    for job in ("ingest", "fit", "score"):
        assert CliRunner().invoke(main, [job, str(recipe)]).exit_code == 0
    return recipe


#: Run a command; SIGKILL falls when it first renames a file whose path holds some word.
COMMAND = """
import os, signal, sys
from sensorssm_pipelines.cli import main

def watch(event, args):
    if event == "os.rename" and sys.argv[3] in str(args[1]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
main(sys.argv[1:3])
"""


@pytest.mark.parametrize(
    ("job", "moment"),
    [
        ("fit", ".draft/models"),  # a part of the model is there
        ("fit", "store/models"),  # it has landed, and not moved yet
        ("score", ".draft/history"),
        ("score", "store/history"),
    ],
)
def test_a_killed_job_leaves_the_results_and_the_next_one_ends(
    recipe: Path, job: str, moment: str
) -> None:
    """The command itself, killed while it writes beside the store, and while it lands."""
    store = Store(recipe.with_name("store"))
    before = store.read_scores(), store.read_explanations(), model(store)
    command = [sys.executable, "-c", COMMAND, job, str(recipe), moment]
    done = subprocess.run(command, check=False, timeout=120, stdout=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGKILL
    assert store.read_scores().equals(before[0])
    assert store.read_explanations().equals(before[1])
    assert store.read_runs()["status"].to_list()[-1] == "LOST"
    assert CliRunner().invoke(main, ["score", str(recipe)]).exit_code == 0  # with whole models
    assert model(store) == before[2]
    assert store.read_scores().equals(before[0])
    assert not (store.path / ".draft").exists()


#: Begin a job and stay in it.
BEGIN = """
import sys
from pathlib import Path
from sensorssm_pipelines.jobs.records import recorded
from sensorssm_pipelines.recipes import load_recipe
from sensorssm_pipelines.store import Store

recipe = load_recipe(Path(sys.argv[1]))
with recorded(recipe, Store(recipe.store), "fit"):
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_is_lost_and_a_living_one_runs(recipe: Path) -> None:
    """Another process sees both, and no later run hides it."""
    store = Store(recipe.with_name("store"), read_only=True)
    command = [sys.executable, "-c", BEGIN, str(recipe)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as job:
        assert job.stdout is not None and job.stdout.readline() == b"begun\n"
        assert store.read_runs()["status"][-1] == "RUNNING"
        job.kill()
    assert job.returncode == -signal.SIGKILL
    assert store.read_runs()["status"][-1] == "LOST"
    assert CliRunner().invoke(main, ["score", str(recipe)]).exit_code == 0
    assert store.read_runs()["status"][-2:].to_list() == ["LOST", "DONE"]


def model(store: Store) -> dict[str, bytes]:
    folder = store.path / "models"
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
