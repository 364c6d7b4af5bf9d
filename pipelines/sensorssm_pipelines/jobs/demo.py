"""Job: a plant out of nothing, from its raw historian export to alarms and a report."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import polars as pl

from sensorssm_pipelines.jobs import run as run_job
from sensorssm_pipelines.jobs.report import RunReport
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import Store

if TYPE_CHECKING:
    from sensorssm.datasets import Plant


def run(
    folder: Path, progress: Progress = silent, *, assets: int = 2, days: float = 56, seed: int = 0
) -> tuple[RunReport, str]:
    """Simulate a plant, export it as a historian would, and run the demo's recipe on the files.

    Everything lies in `folder` afterwards: ``raw/`` the files, ``models/``, and the store.
    """
    from sensorssm.datasets import simulate_plant, write_historian_csv

    started = perf_counter()
    progress("simulating the plant", 0, 1)
    plant = simulate_plant(assets=assets, days=days, seed=seed)
    raw = folder / "raw"
    for old in raw.glob("skid-*.csv"):  # of an earlier demo with more assets
        old.unlink()
    write_historian_csv(plant, raw, seed=seed)
    progress("simulating the plant", 1, 1)
    return run_job.run(
        recipe_of(folder), Store(folder), progress, labels=known_faults(plant), started=started
    )


def recipe_of(folder: Path) -> Recipe:
    """Return the recipe of the demo in `folder`."""
    text = files("sensorssm_pipelines.jobs").joinpath("demo.toml").read_text(encoding="utf-8")
    return parse_recipe(text, "demo.toml", data=folder / "raw", store=folder)


def known_faults(plant: Plant) -> pl.DataFrame:
    """Return what was wrong with the plant, and when, as rows of the table of labels."""
    rows = [
        {
            "asset": fault.asset,
            "started": fault.started,
            "ended": fault.ended,
            "kind": fault.kind,
            "tag": fault.tag,
            "source": "simulator",
        }
        for fault in plant.faults
    ]
    times = {name: pl.Datetime("ns") for name in ("started", "ended")}
    return pl.DataFrame(rows, schema_overrides=times).with_columns(
        pl.col("started", "ended").dt.replace_time_zone("UTC")
    )
