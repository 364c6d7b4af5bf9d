"""Known faults beside the alarms that found them, as a table for people."""

from __future__ import annotations

from typing import Any

import polars as pl

from sensorssm_dashboard import text


def fault_table(matched: pl.DataFrame) -> pl.DataFrame:
    """Return one row a known fault: whether it was found, after how long, and on which tag.

    `matched` is what `sensorssm_pipelines.alarms.match_faults` returns.
    """
    return pl.DataFrame([_row(fault) for fault in matched.iter_rows(named=True)], schema=_SCHEMA)


_SCHEMA: Any = {
    "asset": pl.String, "fault": pl.String, "started": pl.Datetime("us", "UTC"),
    "found": pl.String, "after": pl.String, "named tag": pl.String, "fault's tag": pl.String,
}  # fmt: skip


def _row(fault: dict[str, Any]) -> dict[str, Any]:
    return {
        "asset": text.cell(fault["asset"]),
        "fault": text.cell(fault["kind"]),
        "started": fault["started"],
        "found": "✓ found" if fault["found"] else "✗ missed",
        "after": text.duration(fault["late"]),
        "named tag": text.cell(fault["first_tag"]) if fault["found"] else text.DASH,
        "fault's tag": text.cell(fault["tag"]),
    }
