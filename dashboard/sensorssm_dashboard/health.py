"""The state of one asset in one word, from its alarms, its newest score and its age."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from sensorssm_dashboard.palette import QUIET, Look
from sensorssm_pipelines.store import SHELVED

NORMAL: Final = Look("Normal", ":material/check_circle:", "gray", QUIET)
ALARM: Final = Look("Alarm", ":material/notifications_active:", "red", "#c4262e")
SEEN: Final = Look("Alarm, acknowledged", ":material/task_alt:", "orange", "#d9730d")
UNUSUAL: Final = Look("Unusual", ":material/trending_up:", "yellow", "#b08900")
BAD_DATA: Final = Look("Bad data", ":material/sensors_off:", "violet", "#7a5aa6")
SILENT: Final = Look("Silent", ":material/cloud_off:", "violet", "#7a5aa6")
UNKNOWN: Final = Look("No score yet", ":material/help:", "gray", QUIET)

#: How far an asset may lag behind the newest one before it counts as silent.
_LAG: Final = timedelta(hours=1)


def asset_health(
    latest: Mapping[str, Any] | None, alarms: pl.DataFrame, newest: datetime | None
) -> Look:
    """Return the word, icon and colour of an asset, the worst that holds.

    Parameters
    ----------
    latest : the asset's row of the table ``latest``, or None
    alarms : the asset's alarms
    newest : the newest time of any asset: one that stopped long before it is silent
    """
    states = set(alarms["state"])
    if "OPEN" in states:
        return ALARM
    if latest is None or latest["time"] is None:
        return SEEN if "ACKNOWLEDGED" in states else UNKNOWN
    if newest is not None and newest - latest["time"] > _LAG:
        return SILENT
    if str(latest["state"]).upper() in {"HOLD", "BAD", "STALE", "ERROR"}:
        return BAD_DATA
    if "ACKNOWLEDGED" in states:
        return SEEN
    if latest["score"] is None:
        return BAD_DATA
    limit = latest["threshold"]
    return UNUSUAL if limit is not None and latest["score"] > limit else NORMAL


def good_share(readings: pl.DataFrame) -> float | None:
    """Return the share of readings that are known and of good quality; None without readings."""
    if readings.is_empty():
        return None
    good = pl.col("value").is_finite() & (pl.col("quality").fill_null(0) == 0)
    return readings.select(good.fill_null(False).mean()).item()


def standing(alarms: pl.DataFrame) -> pl.DataFrame:
    """Return the alarms that stand, seen or not, but for shelved ones."""
    return alarms.filter(~pl.col("state").is_in([SHELVED, "CLEARED"]))


def waiting(alarms: pl.DataFrame) -> pl.DataFrame:
    """Return the alarms nobody has acknowledged, open ones first, then the newest.

    An alarm that has cleared by itself still waits to be seen (ISA-18.2: returned to normal,
    unacknowledged); one that is on a shelf does not.
    """
    told = pl.col("state").ne_missing(SHELVED)
    return alarms.filter(pl.col("acknowledged").is_null() & told).sort(
        pl.col("state") != "OPEN", pl.col("opened"), descending=[False, True]
    )
