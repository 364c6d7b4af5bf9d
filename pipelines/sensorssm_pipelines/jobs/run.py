"""Job: everything a recipe asks for, from its raw files to its report."""

from __future__ import annotations

from time import perf_counter

import polars as pl

from sensorssm_pipelines.jobs import backtest, fit, ingest, judge, replay, report, rows
from sensorssm_pipelines.jobs.records import Record, recorded
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store, draft


def run(
    recipe: Recipe,
    store: Store,
    progress: Progress = silent,
    labels: pl.DataFrame | None = None,
    started: float | None = None,
) -> tuple[report.RunReport, str]:
    """Rebuild the store from the recipe's raw files; return the report and its text.

    A run that fails, or is stopped, leaves the results as they were.

    `labels` are known faults beside those in the files; `started` is when the caller began
    (`perf_counter`), so that the report counts what it did before.
    """
    started = perf_counter() if started is None else started
    with recorded(recipe, store, "run") as record:
        with draft(store) as made:
            found = _make(recipe, made, progress, labels, record, started)
        record.report["run"] = found
        return found, report.run(found, store)


def _make(
    recipe: Recipe,
    store: Store,
    progress: Progress,
    labels: pl.DataFrame | None,
    record: Record,
    started: float,
) -> report.RunReport:
    """Fill an empty store with all that the recipe asks for."""
    ingested = ingest.run(recipe, store, progress)
    record.account = ingested.account
    if labels is not None:
        store.write_labels(labels)
    fitted = fit.run(recipe, store, progress)
    tested = backtest.run(recipe, store, progress)
    if tested is not None:
        backtest.record(tested, store, record.run)
    replayed = replay.run(recipe, store, progress) if recipe.detect else None
    by_row = rows.run(recipe, store) if replayed else None
    if by_row is not None:
        store.write_metrics(rows.metric_rows(by_row, record.run))
    return report.RunReport(
        recipe=recipe.name,
        seconds=perf_counter() - started,
        ingest=ingested,
        fit=fitted,
        backtest=tested,
        replay=replayed,
        faults=judge.run(recipe, store) if replayed else None,
        rows=by_row,
    )
