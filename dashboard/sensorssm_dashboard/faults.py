"""Known faults beside the alarms that met them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from sensorssm_dashboard import text


def fault_table(labels: pl.DataFrame, alarms: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """Return one row a known fault: whether an alarm met it, after how long, and on which tag.

    Parameters
    ----------
    labels : asset, started, ended, kind, tag
    alarms : asset, opened, cleared (null: still open, taken as `end`), first_tag
    end : the end of the data
    """
    rows = [_row(label, alarms, end) for label in labels.sort("started").iter_rows(named=True)]
    return pl.DataFrame(rows, schema=_SCHEMA)


_SCHEMA: Any = {
    "asset": pl.String, "fault": pl.String, "started": pl.Datetime("us", "UTC"),
    "found": pl.String, "after": pl.String, "named tag": pl.String, "fault's tag": pl.String,
}  # fmt: skip


def _row(label: dict[str, Any], alarms: pl.DataFrame, end: datetime) -> dict[str, Any]:
    met = alarms.filter(
        pl.col("asset") == label["asset"],
        pl.col("opened") < label["ended"],
        pl.col("cleared").fill_null(end) > label["started"],
    ).sort("opened")
    first = met.row(0, named=True) if met.height else None
    late = None if first is None else max(first["opened"], label["started"]) - label["started"]
    return {
        "asset": text.cell(label["asset"]),
        "fault": text.cell(label["kind"]),
        "started": label["started"],
        "found": "✓ found" if first else "✗ missed",
        "after": text.duration(late),
        "named tag": text.cell(first["first_tag"]) if first else text.DASH,
        "fault's tag": text.cell(label["tag"]),
    }
