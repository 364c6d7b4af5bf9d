"""The command line: answers at once, and meets bad input with one clear line and exit status 2."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from sensorssm import __version__
from sensorssm_pipelines import cli
from sensorssm_pipelines.store import Store, draft

RECIPE = """
name = "pump"
store = "{folder}/results"

[[sources]]
path = "{folder}/raw.csv"
layout = "wide"
asset = "pump 7"

[split]
fit = 0.5

[detect]
"""
COMMANDS = sorted(cli.main.commands)


def call(*words: object) -> Result:
    return CliRunner().invoke(cli.main, [str(word) for word in words])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Return a recipe whose raw file holds 400 readings of two tags."""
    path = tmp_path / "pump.toml"
    path.write_text(RECIPE.format(folder=tmp_path))
    write_raw(tmp_path / "raw.csv", ["flow", "pressure"])
    return path


def write_raw(path: Path, tags: list[str], rows: int = 400) -> None:
    lines = [f"2026-01-05T{k // 60:02}:{k % 60:02}:00Z" for k in range(rows)]
    body = "".join(
        f"{time},{','.join(str((k * 37 % (50 + t)) / 10) for t in range(len(tags)))}\n"
        for k, time in enumerate(lines)
    )
    path.write_text(f"time,{','.join(tags)}\n{body}")


def refuses(result: Result, *words: str) -> None:
    """Assert that a command ended with status 2 and one line that has every word in it."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("sensorssm: ")
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0]


def test_help_answers_in_half_a_second_of_processor_time() -> None:
    """The command line imports nothing heavy before a command needs it."""
    code = (
        "import resource, sys\n"
        "from sensorssm_pipelines.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = {'torch', 'polars', 'numpy', 'sklearn', 'pydantic', 'numba'} & set(sys.modules)\n"
        "print(f'CPU {used.ru_utime + used.ru_stime:.3f} {sorted(heavy)}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    match = re.search(r"CPU ([\d.]+) (.*)", done.stdout)
    assert match is not None and "Usage: " in done.stdout
    assert match[2] == "[]"
    assert float(match[1]) < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_helps_with_an_example_that_parses(name: str) -> None:
    """The help's last line is an example whose command and options exist."""
    result = call(name, "--help")
    assert result.exit_code == 0
    example = " ".join(result.output.split("Example: ")[-1].split()).split()
    assert example[:2] == ["sensorssm", name]
    command = cli.main.commands[name]
    with click.Context(command, resilient_parsing=True) as context:
        assert command.parse_args(context, example[2:]) == []


def test_the_version_is_the_package_s() -> None:
    assert call("--version").output.strip().endswith(__version__)


def test_a_missing_recipe_is_one_line() -> None:
    refuses(call("run", "none.toml"), "no recipe at none.toml", "Give the path")


def test_an_unknown_recipe_key_is_one_line_with_the_nearest(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("fit =", "fitt ="))
    refuses(call("ingest", recipe), "'fitt' in [split]", "Did you mean 'fit'?")


def test_a_missing_file_an_empty_one_and_a_text_column_are_one_line(recipe: Path) -> None:
    raw = recipe.with_name("raw.csv")
    raw.unlink()
    refuses(call("ingest", recipe), "no file or folder at", "Check the path")
    raw.write_bytes(b"")
    refuses(call("ingest", recipe), "raw.csv is empty", "Export it again")
    raw.write_text("time,flow,note\n2026-01-05T00:00:00Z,1,ok\n")
    refuses(call("ingest", recipe), "'note'", "text such as 'ok'", "List it in ignore")
    runs = Store(recipe.with_name("results")).read_runs()
    assert runs["status"].to_list() == ["FAILED"] * 3
    assert '"error"' in runs["report"][0]


def test_a_path_that_no_disk_can_hold_is_one_line(recipe: Path) -> None:
    refuses(call("run", "x" * 5000), "cannot be read as text")
    text = recipe.read_text()
    recipe.write_text(text.replace("raw.csv", "raw" * 2000))
    refuses(call("ingest", recipe), "too long")
    refuses(call("ingest", recipe, "--store", recipe.with_name("s" * 300)), "too long")


def test_a_model_fitted_on_other_tags_is_one_line(recipe: Path) -> None:
    assert call("ingest", recipe).exit_code == 0
    assert call("fit", recipe).exit_code == 0
    write_raw(recipe.with_name("raw.csv"), ["flow", "level"])
    with draft(Store(recipe.with_name("results"))):
        pass  # an empty one
    assert call("ingest", recipe).exit_code == 0
    refuses(call("score", recipe), "fitted on other tags", "'pressure'", "'level'", "Fit again")


def test_a_damaged_model_is_one_line(recipe: Path) -> None:
    assert call("ingest", recipe).exit_code == 0
    assert call("fit", recipe).exit_code == 0
    for part in recipe.with_name("results").glob("models/*/detector/*.safetensors"):
        part.write_bytes(part.read_bytes()[:-1])
    refuses(call("score", recipe))


def test_steps_out_of_order_say_what_comes_first(recipe: Path) -> None:
    refuses(call("fit", recipe), "Run `sensorssm ingest RECIPE` first")
    assert call("ingest", recipe).exit_code == 0
    refuses(call("score", recipe), "Run `sensorssm fit RECIPE` first")


def test_wrong_words_are_one_line() -> None:
    refuses(call("frobnicate"), "frobnicate")
    refuses(call("demo", "--days", "soon"), "--days")
    refuses(call("run"), "RECIPE")
    refuses(call("--nope"), "--nope")


def test_ingest_fit_and_score_by_hand_leave_a_scored_store(recipe: Path) -> None:
    """The three commands, one after the other, account for what they did."""
    said = call("ingest", recipe)
    assert "800 readings of 1 asset" in said.output
    assert "SSMDetector" in call("fit", recipe).output.splitlines()[-1]
    assert "200 instants scored" in call("score", recipe).output
    assert "no [forecast]" in call("backtest", recipe).output
    store = Store(recipe.with_name("results"), read_only=True)
    assert store.read_scores("pump 7").height == 200
    assert store.read_runs()["status"].to_list() == ["DONE"] * 4
    first = store.read_runs().row(0, named=True)
    assert first["rows_in"] == first["rows_out"] + first["deduplicated"] + first["quarantined"]


def test_an_ingestion_names_the_tags_not_to_rely_on(recipe: Path) -> None:
    """A tag that never moves is told at once, with the reason."""
    lines = recipe.with_name("raw.csv").read_text().splitlines()
    still = [f"{line},{'stuck' if k == 0 else '5.0'}" for k, line in enumerate(lines)]
    recipe.with_name("raw.csv").write_text("\n".join(still) + "\n")
    assert "of low grade: pump 7 stuck: never moves" in call("ingest", recipe).output
    grades = Store(recipe.with_name("results"), read_only=True).read_grades()
    assert sorted(grades["grade"].to_list()) == ["high", "high", "low"]


def test_the_dashboard_needs_its_extra_and_a_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuses(call("dashboard", "--store", tmp_path / "none"), "no store in", "sensorssm demo")
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    refuses(call("dashboard", "--store", tmp_path), "pip install 'sensorssm[dashboard]'")


def test_the_dashboard_starts_streamlit_on_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(tmp_path)
    started: list[list[str]] = []
    monkeypatch.setattr(cli.os, "execv", lambda program, words: started.append(words))
    assert call("dashboard", "--store", tmp_path, "--port", 8600).exit_code == 0
    words = started[0]
    assert "streamlit" in words and str(tmp_path) in words and "8600" in words
    assert any(Path(word).name == "app.py" and Path(word).exists() for word in words)


def test_a_run_rebuilds_the_store_and_leaves_its_report(recipe: Path) -> None:
    """A second run of the same recipe leaves the same results, not twice as many."""
    folder = recipe.with_name("results")
    tables = []
    for _ in range(2):
        result = call("run", recipe)
        assert result.exit_code == 0, result.output
        assert result.output.rstrip().endswith(f"Next: sensorssm dashboard --store {folder}")
        store = Store(folder, read_only=True)
        tables.append([store.read_scores(), store.read_readings(), store.read_alarms()])
    assert all(first.equals(second) for first, second in zip(*tables, strict=True))
    for line in (folder / "report.txt").read_text().splitlines():
        assert line in result.output


def test_a_run_that_cannot_read_its_files_leaves_the_results(recipe: Path) -> None:
    """A mistyped path and a broken file cost nothing but a FAILED row in the table of runs."""
    assert call("run", recipe).exit_code == 0
    store, raw = Store(recipe.with_name("results")), recipe.with_name("raw.csv")
    before = [store.read_scores(), store.read_readings(), store.read_alarms()]
    raw.write_text("time,flow\nyesterday,1\n")
    refuses(call("run", recipe), "no usable reading")
    raw.unlink()
    refuses(call("run", recipe), "no file or folder at")
    after = [store.read_scores(), store.read_readings(), store.read_alarms()]
    assert not before[0].is_empty()
    assert all(first.equals(second) for first, second in zip(before, after, strict=True))
    assert store.read_runs()["status"].to_list() == ["DONE", "FAILED", "FAILED"]


def test_a_second_ingestion_replaces_the_grid_of_the_first(recipe: Path) -> None:
    """Another period and other tags leave no reading, tag or unit of the grid before."""
    assert call("ingest", recipe).exit_code == 0
    write_raw(recipe.with_name("raw.csv"), ["flow", "level"])
    recipe.write_text(recipe.read_text() + '[grid]\nperiod = "7min"\n')
    assert call("ingest", recipe).exit_code == 0
    store = Store(recipe.with_name("results"))
    assert set(store.read_readings()["tag"]) == set(store.read_tags()["tag"]) == {"flow", "level"}
    steps = store.read_readings().filter(tag="flow")["time"].diff().drop_nulls().unique()
    assert steps.to_list() == [timedelta(minutes=7)]
