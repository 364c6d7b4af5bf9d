"""What the last runs did: rows in and out, errors beside baselines, faults found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import data, live, text
from sensorssm_dashboard.faults import fault_table
from sensorssm_pipelines.alarms import match_faults
from sensorssm_pipelines.store import Store

_MOST: Final = 20  # rows shown at once; a longer table scrolls


def page(store: Store) -> None:
    """Draw the newest run, its metrics beside the baselines, and the known faults."""
    live.show(store, _body)


def _body(store: Store) -> None:
    st.title("Runs")
    runs = data.read(store, "runs").sort("started", descending=True)
    if runs.is_empty():
        st.info("No run has been recorded in this store. Make one with `sensorssm run RECIPE`.")
        return
    _run(runs.row(0, named=True))
    report = report_of(runs["report"][0])
    if isinstance(report, dict) and "error" in report:
        st.error(text.plain(report["error"]), icon=":material/error:")
    _metrics(data.read(store, "metrics"))
    _faults(store)
    with st.expander("Full report"):
        st.json(report, expanded=1)
    if runs.height > 1:
        st.subheader("Earlier runs")
        st.dataframe(_earlier(runs.slice(1)), hide_index=True)


def _run(run: Mapping[str, Any]) -> None:
    unended = "killed before it ended" if run["status"] == "LOST" else "still running"
    ended = run["ended"]
    took = unended if ended is None else f"took {text.duration(ended - run['started'])}"
    st.caption(
        f"Recipe {text.plain(run['recipe'])} · {text.plain(str(run['status']).lower())} · "
        f"started {text.instant(run['started'])} · {took}"
    )
    with st.container(horizontal=True):
        for column in ("rows_in", "rows_out", "deduplicated", "quarantined", "late"):
            count = run[column]
            shown = text.DASH if count is None else f"{count:,}"
            st.metric(column.replace("_", " ").capitalize(), shown, border=True)


def report_of(stored: str | None) -> Any:
    """Return a run's report; one that is no JSON, as after a crash, is said to be so."""
    try:
        return json.loads(stored or "{}")
    except ValueError:
        return {"unreadable": True}


def _metrics(metrics: pl.DataFrame) -> None:
    if metrics.is_empty():
        return
    st.subheader("Metrics, beside the baselines")
    form = st.column_config.NumberColumn(format="%.3f")
    for table in beside(metrics):
        models = dict.fromkeys(table.columns[2:], form)
        height = "content" if table.height <= _MOST else "auto"
        st.dataframe(table, hide_index=True, height=height, column_config=models)


def beside(metrics: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the newest run's metrics: a row an asset and metric, a column a model, ours first.

    Forecasters and detectors, which share no metric, stand in tables of their own: metrics go
    together by the first name among their models.
    """
    names = pl.col("asset", "model", "metric").map_elements(text.cell, pl.String)
    newest = metrics.filter(run=metrics["run"].max()).with_columns(names)
    rows = newest.with_columns(first=pl.col("model").min().over("asset", "metric"))
    return [_pivot(part) for _, part in rows.sort("first").group_by("first", maintain_order=True)]


def _pivot(rows: pl.DataFrame) -> pl.DataFrame:
    table = rows.pivot(on="model", index=["asset", "metric"], values="value")
    models = sorted(table.columns[2:], key=lambda name: (not name.startswith("SSM"), name))
    return table.select("asset", "metric", *models).sort("asset", "metric")


def _faults(store: Store) -> None:
    scored = data.spans(store, "scores")
    matched = match_faults(data.read(store, "labels"), data.read(store, "alarms"), scored)
    if matched.is_empty():
        return
    table = fault_table(matched)
    st.subheader(f"Known faults: {matched['found'].sum()} of {matched.height} found")
    when = st.column_config.DatetimeColumn("started (UTC)", format="YYYY-MM-DD HH:mm")
    st.dataframe(table, hide_index=True, height="content", column_config={"started": when})


def _earlier(runs: pl.DataFrame) -> pl.DataFrame:
    return runs.drop("run", "report").with_columns(
        pl.col("recipe").map_elements(text.cell, pl.String)
    )
