"""How many alarms people have to bear: the figures that ISA-18.2 asks a plant to watch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

WINDOW = timedelta(minutes=10)
FLOOD = 10  # alarms in a window; with more nobody can read them
STANDING = timedelta(days=1)
REPEAT = timedelta(hours=1)

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class AlarmLoad:
    """The load of a span of time.

    `per_day` : alarms opened a day; `most` : opened in the worst ten minutes; `flood` : share of
    time in ten-minute windows with more than `FLOOD`; `standing` : alarms that were open, or still
    are, for longer than a day; `repeats` : alarms that opened within an hour of the last one of
    their asset and rule; `worst` : the asset with most alarms, None without any, and its share.
    """

    per_day: float
    most: int
    flood: float
    standing: int
    repeats: int
    worst: str | None
    worst_share: float


def alarm_load(alarms: pl.DataFrame, begin: datetime, end: datetime) -> AlarmLoad:
    """Return the load of the alarms that opened in [begin, end]; windows are counted from 1970.

    `alarms` has asset, rule, opened and cleared (null: open at `end`), as in the store.
    """
    opened = pl.col("opened")
    rows = alarms.filter(opened.is_between(begin, end)).sort("opened")
    if rows.is_empty():
        return AlarmLoad(0.0, 0, 0.0, 0, 0, None, 0.0)
    windows = rows.group_by(opened.dt.truncate(WINDOW)).len()["len"]
    lasted = (pl.col("cleared").fill_null(end) - opened) > STANDING
    again = (opened - pl.col("cleared").shift(1).over("asset", "rule")) < REPEAT
    counts = rows.select(lasted.sum().alias("standing"), again.sum().alias("repeats"))
    worst, most = (
        rows["asset"].value_counts().sort("count", "asset", descending=[True, False]).row(0)
    )
    span = max(end - begin, WINDOW)
    return AlarmLoad(
        per_day=rows.height / max(span / _DAY, 1.0),
        most=int(windows.max()),  # pyright: ignore[reportArgumentType]
        flood=int((windows > FLOOD).sum()) * (WINDOW / span),
        standing=int(counts["standing"][0]),
        repeats=int(counts["repeats"][0]),
        worst=worst,
        worst_share=most / rows.height,
    )
