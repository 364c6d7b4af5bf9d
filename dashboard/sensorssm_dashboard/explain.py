"""Why the score of one instant is what it is: each tag's part, and what it read and should have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import text
from sensorssm_pipelines.alarms import OPENING

_NOTABLE: Final = 0.1  # share from which a tag counts among those that moved
EXPLAINED: Final = {
    "share": st.column_config.ProgressColumn("share", format="percent", min_value=0, max_value=1),
    "moved": st.column_config.TextColumn("moved", width=80),
}


def excursion(scores: pl.DataFrame, at: datetime) -> datetime:
    """Return when the score last rose above its threshold, up to `at`; `at` where it is below.

    `scores` has time, score and threshold, in order of time; an unknown score neither begins nor
    ends an excursion, as it neither opens nor clears an alarm.
    """
    past = scores.filter(pl.col("time") <= at).drop_nulls("score")
    is_above = (pl.col("score") > pl.col("threshold")).fill_null(False)
    calm = past.filter(~is_above)["time"].max()
    above = past.filter(is_above)["time"]
    rows = above if calm is None else above.filter(above > calm)
    return at if rows.is_empty() else rows[0]


def explained_at(rows: pl.DataFrame, at: datetime, units: Mapping[str, str]) -> pl.DataFrame:
    """Return a row a tag, the largest share first: tag, share, moved, seen, expected, off by.

    `moved` ranks the tags by their mean share over the first steps of the excursion, as the alarm
    does that names the first of them; a tag that had hardly any part then has no rank.

    Parameters
    ----------
    rows : DataFrame of time, tag, value, expected, contribution from the excursion's start on
    units : of the tags, as they are written
    """
    opening = rows["time"].unique().sort().head(OPENING).implode()
    early = rows.filter(pl.col("time").is_in(opening)).group_by("tag").agg(
        early=pl.col("contribution").fill_nan(None).mean()
    )  # fmt: skip
    now = rows.filter(pl.col("time") == at).join(early, on="tag", how="left")
    ranked = now.with_columns(
        rank=pl.when(pl.col("early") >= _NOTABLE).then(
            pl.col("early").rank("ordinal", descending=True)
        )
    ).sort("contribution", "tag", descending=[True, False], nulls_last=True)
    lines = [_line(row, units.get(row["tag"], "")) for row in ranked.iter_rows(named=True)]
    return pl.DataFrame(lines, schema=_LINE)


_LINE: Final[Any] = {
    "tag": pl.String, "share": pl.Float64, "moved": pl.String, "seen": pl.String,
    "expected": pl.String, "off by": pl.String,
}  # fmt: skip


def _line(row: Mapping[str, Any], unit: str) -> dict[str, Any]:
    seen, expected = row["value"], row["expected"]
    off = None if seen is None or expected is None else seen - expected
    return {
        "tag": text.cell(row["tag"]),
        "share": row["contribution"],
        "moved": "" if row["rank"] is None else "first" if row["rank"] == 1 else str(row["rank"]),
        "seen": _measured(seen, unit),
        "expected": _measured(expected, unit),
        "off by": text.DASH if off is None else f"{_measured(abs(off), unit)} {_side(off)}".strip(),
    }


def _side(off: float) -> str:
    return "above" if off > 0 else "below" if off < 0 else ""


def _measured(value: float | None, unit: str) -> str:
    """Return a number with its unit, to four digits.

    A minus is drawn as one: a cell that begins with a hyphen is a formula to a spreadsheet, and
    units come from the plant's files.
    """
    shown = text.number(value, digits=4)
    return shown if shown == text.DASH else f"{shown.replace('-', '−')} {unit}".rstrip()
