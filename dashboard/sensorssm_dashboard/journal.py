"""Alarms as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import palette, say, text

JOURNAL: Final = {
    "opened": st.column_config.DatetimeColumn("opened (UTC)", format="YYYY-MM-DD HH:mm", width=140),
    "priority": st.column_config.TextColumn(width=80),
    "state": st.column_config.TextColumn(width=105),
    "asset": st.column_config.TextColumn(width=90),
    "lasted": st.column_config.TextColumn(width=95),
    "peak": st.column_config.NumberColumn("peak score", format="%.2f", width=85),
    "it was": st.column_config.TextColumn(width=95),
    "message": st.column_config.TextColumn(width=780),  # px; a whole sentence or two
}


def journal(alarms: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Return the alarms as a table for people, the newest first, with what they said of them."""
    was = labels.select(id="alarm_id", was="kind")
    newest = alarms.join(was, on="id", how="left").sort("opened", descending=True)
    return pl.DataFrame([_line(alarm) for alarm in newest.iter_rows(named=True)], schema=_LINE)


_LINE: Final[Any] = {
    "opened": pl.Datetime("us", "UTC"), "priority": pl.String, "state": pl.String,
    "asset": pl.String, "first tag": pl.String, "lasted": pl.String, "peak": pl.Float64,
    "acknowledged by": pl.String, "it was": pl.String, "message": pl.String,
}  # fmt: skip


def _line(alarm: Mapping[str, Any]) -> dict[str, Any]:
    state, ended = palette.STATES.get(alarm["state"]), alarm["cleared"]
    return {
        "opened": alarm["opened"],
        "priority": palette.priority(alarm["priority"]).word,
        "state": state.word if state else text.cell(alarm["state"]),
        "asset": text.cell(alarm["asset"]),
        "first tag": text.cell(alarm["first_tag"]),
        "lasted": text.duration(ended - alarm["opened"]) if ended else "open",
        "peak": alarm["peak_score"],
        "message": text.cell(alarm["message"]),
        "it was": say.word(alarm["was"]),
        "acknowledged by": text.cell(alarm["acknowledged_by"] or text.DASH),
    }
