"""What the last runs did: rows in and out, errors beside baselines, faults found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from sensorssm_dashboard import data, live, text
from sensorssm_dashboard.faults import fault_table
from sensorssm_pipelines.store import Store


def page(store: Store) -> None:
    """Draw the newest run, its metrics beside the baselines, and the known faults."""
    live.show(store, _body)


def _body(store: Store) -> None:
    st.title("Runs")
    runs = data.read(store, "runs").sort("started", descending=True)
    if runs.is_empty():
        st.info("No run has been recorded in this store. Make one with `sensorssm run RECIPE`.")
    else:
        _run(runs.row(0, named=True))
    _metrics(data.read(store, "metrics"))
    _faults(store)
    if runs.height > 1:
        st.subheader("Earlier runs")
        st.dataframe(runs.slice(1).drop("report"), hide_index=True)


def _run(run: Mapping[str, Any]) -> None:
    ended = run["ended"]
    took = text.DASH if ended is None else text.duration(ended - run["started"])
    st.caption(
        f"Run {text.plain(run['run'])} · recipe {text.plain(run['recipe'])} · "
        f"{text.plain(run['status'])} · {text.instant(run['started'])} · took {took}"
    )
    with st.container(horizontal=True):
        for column in ("rows_in", "rows_out", "deduplicated", "quarantined", "late"):
            count = run[column]
            shown = text.DASH if count is None else f"{count:,}"
            st.metric(column.replace("_", " ").capitalize(), shown, border=True)


def _metrics(metrics: pl.DataFrame) -> None:
    if metrics.is_empty():
        return
    st.subheader("Metrics, beside the baselines")
    st.dataframe(beside(metrics), hide_index=True)


def beside(metrics: pl.DataFrame) -> pl.DataFrame:
    """Return one row an asset and metric, one column a model, of the newest run."""
    run = metrics["run"].max()
    shown = metrics.filter(run=run).with_columns(pl.col("model", "asset", "metric").map_elements(
        text.cell, pl.String
    ))  # fmt: skip
    return shown.pivot(on="model", index=["asset", "metric"], values="value").sort(
        "asset", "metric"
    )


def _faults(store: Store) -> None:
    labels, covered = data.read(store, "labels"), data.covered(store)
    if labels.is_empty() or covered is None:
        return
    table = fault_table(labels, data.read(store, "alarms"), covered[1])
    found = (table["found"] == "✓ found").sum()
    st.subheader(f"Known faults: {found} of {table.height} found")
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "started": st.column_config.DatetimeColumn("started (UTC)", format="YYYY-MM-DD HH:mm")
        },
    )
