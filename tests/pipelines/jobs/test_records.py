"""The table of runs: a run is there from its start, and says how it ended."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from sensorssm_pipelines.jobs.records import recorded, to_json
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import Store


@pytest.fixture
def recipe() -> Recipe:
    text = 'name = "r"\nstore = "s"\n[[sources]]\npath = "p"\nlayout = "wide"\nasset = "a"\n'
    return parse_recipe(text + "[split]\nfit = 0.5\n", "r.toml")


def test_a_run_is_running_then_done(tmp_path: Path, recipe: Recipe) -> None:
    store = Store(tmp_path)
    with recorded(recipe, store, "fit") as record:
        record.report["rows"] = 3
        assert store.read_runs()["status"].to_list() == ["RUNNING"]
        assert store.read_runs()["ended"].to_list() == [None]
    run = store.read_runs().row(0, named=True)
    assert run["status"] == "DONE" and run["ended"] >= run["started"]
    assert json.loads(run["report"]) == {"rows": 3}


def test_a_run_that_breaks_says_why_and_does_not_hide_it(tmp_path: Path, recipe: Recipe) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError), recorded(recipe, store, "fit"):
        _ = 1 / 0
    run = store.read_runs().row(0, named=True)
    assert run["status"] == "FAILED"
    assert "division" in json.loads(run["report"])["error"]


@dataclass(frozen=True)
class _Report:
    parts: int
    table: pl.DataFrame

    @property
    def half(self) -> float:
        return self.parts / 2


def test_any_report_becomes_plain_json() -> None:
    """Properties are part of a report; NaN is null; tables are rows; times are text."""
    table = pl.DataFrame({"x": [1.5, math.nan], "t": [datetime(2026, 1, 5, tzinfo=UTC)] * 2})
    plain = json.loads(to_json({"run": _Report(3, table), "inf": math.inf}))
    assert plain["run"]["half"] == 1.5
    assert plain["run"]["table"][1] == {"x": None, "t": "2026-01-05T00:00:00+00:00"}
    assert plain["inf"] is None
