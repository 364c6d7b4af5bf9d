"""Are these data live, old or recorded? The first question of a screen, answered in one sentence.

A quiet page over a runtime that has died is the worst failure of a monitor, so nothing counts as
live unless a process says so and both its clock and its newest reading are recent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import polars as pl

from sensorssm_dashboard import text

SILENT_AFTER: Final = timedelta(seconds=30)  # of a process: it writes a heartbeat every few
OLD_AFTER: Final = timedelta(minutes=30)  # of a reading: slow grids step every 15 minutes
_AHEAD: Final = timedelta(minutes=2)  # of clocks that disagree a little
_RECORDED: Final = r"^(?i:replay|demo|backtest|batch|run)\b"


@dataclass(frozen=True)
class Freshness:
    """What the banner says; `kind` chooses how loudly."""

    kind: Literal["empty", "live", "stale", "replay"]
    message: str

    @property
    def is_live(self) -> bool:
        return self.kind == "live"


def judge(
    heartbeat: pl.DataFrame,
    latest: pl.DataFrame,
    covered: Callable[[], tuple[datetime, datetime] | None],
    now: datetime,
) -> Freshness:
    """Return how fresh a store is at wall-clock time `now`.

    Parameters
    ----------
    heartbeat : the store's table; processes named after a replay or a batch job never count
        as live
    latest : the store's table, one row per asset
    covered : gives the first and last time of the scores, or None without any; not asked
        while a process runs, for it reads them all
    now : wall-clock time, UTC
    """
    running = heartbeat.filter(~pl.col("process").str.contains(_RECORDED))
    if not running.is_empty():
        return _judge_running(running, latest, now)
    span = covered()
    if span is None:
        return Freshness("empty", "No data yet.")
    age = now - span[1]
    what = "Stored results" if heartbeat.is_empty() else "Replay"
    when = (
        f"is {text.duration(age)} old"
        if age >= timedelta()
        else f"is {text.duration(-age)} ahead of this machine's clock"
    )
    return Freshness(
        "replay", f"{what} of {text.span(*span)}. Nothing here is live: the last reading {when}."
    )


def _judge_running(running: pl.DataFrame, latest: pl.DataFrame, now: datetime) -> Freshness:
    oldest = running.sort("wall_time", nulls_last=False).row(0, named=True)
    name, beat = text.plain(oldest["process"]), oldest["wall_time"]
    if beat is None or now - beat > SILENT_AFTER:
        since = "ever" if beat is None else f"for {text.duration(now - beat)}"
        return Freshness(
            "stale",
            f"Old data. Process {name} has given no sign of life {since} (last: "
            f"{text.instant(beat)}). What is shown below is the past; check the process.",
        )
    newest = latest["time"].max() if not latest.is_empty() else running["event_time"].max()
    if not isinstance(newest, datetime):
        return Freshness("stale", f"Process {name} runs, but no reading has come yet.")
    if now - newest > OLD_AFTER:
        return Freshness(
            "stale",
            f"Old data. Process {name} runs, but its newest reading is "
            f"{text.duration(now - newest)} old ({text.instant(newest)}). Check the source.",
        )
    if newest - now > _AHEAD or beat - now > _AHEAD:
        return Freshness(
            "stale",
            f"Clocks disagree: process {name} writes times of the future "
            f"({text.instant(max(newest, beat))}). Check both clocks.",
        )
    return Freshness("live", f"Live. Newest reading {text.instant(newest)}.")
