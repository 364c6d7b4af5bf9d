"""Which tags can be relied on, and what was set aside, for which reason."""

from __future__ import annotations

from typing import Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import data, live, text
from sensorssm_pipelines.store import Store

#: Worst first; a sign for each, for colour alone must not tell.
GRADES: Final = {"low": "▼ low", "medium": "◆ medium", "high": "▲ high"}


def page(store: Store) -> None:
    """Draw how many tags are of each grade, every tag with its reason, and the quarantine."""
    live.show(store, _body)


def _body(store: Store) -> None:
    st.title("Quality")
    grades = data.read(store, "grades")
    if grades.is_empty():
        st.info("No tag has been graded. Run `sensorssm ingest RECIPE` on the raw readings.")
        return
    with st.container(horizontal=True):
        for name, shown in reversed(GRADES.items()):
            st.metric(shown.capitalize(), f"{grades.filter(grade=name).height:,}", border=True)
    percent = st.column_config.NumberColumn(format="%.1f %%")
    look = {
        "missing": percent,
        "longest gap": percent,
        "quarantined": st.column_config.NumberColumn(format="localized"),
    }
    st.dataframe(graded(grades), hide_index=True, column_config=look)
    st.caption("Missing rows of the grid, and the longest run of them, in percent of all its rows.")
    _set_aside(data.read(store, "quarantine"))


def graded(grades: pl.DataFrame) -> pl.DataFrame:
    """Return one row a tag as people read it, the worst grade first."""
    rank = pl.col("grade").replace_strict({name: k for k, name in enumerate(GRADES)}, default=0)
    return grades.sort(rank, "asset", "tag").select(
        pl.col("grade").replace(GRADES),
        pl.col("asset", "tag").map_elements(text.cell, pl.String),
        pl.col("why").alias("because of"),
        pl.col("missing") * 100,
        (pl.col("gap") * 100).alias("longest gap"),
        "quarantined",
    )


def set_aside(quarantine: pl.DataFrame) -> pl.DataFrame:
    """Return one row a reason: how many readings, of how many tags, and where the first stood."""
    found = quarantine.group_by("reason").agg(
        pl.len().alias("readings"),
        pl.struct("asset", "tag").n_unique().alias("tags"),
        pl.col("source").first().alias("first in"),
    )
    return found.sort("readings", "reason", descending=[True, False]).with_columns(
        pl.col("reason", "first in").map_elements(text.cell, pl.String)
    )


def _set_aside(quarantine: pl.DataFrame) -> None:
    st.subheader("Set aside")
    if quarantine.is_empty():
        st.caption(":material/task_alt: Every reading could be used.")
        return
    st.dataframe(set_aside(quarantine), hide_index=True, height="content")
