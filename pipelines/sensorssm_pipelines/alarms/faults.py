"""Known faults beside the alarms that found them: the one definition of found and missed."""

from __future__ import annotations

import polars as pl

_ALARM = ("opened", "cleared", "first_tag", "tags", "message")


def match_faults(labels: pl.DataFrame, alarms: pl.DataFrame, scored: pl.DataFrame) -> pl.DataFrame:
    """Return each known fault of the scored time, with the first alarm that opened during it.

    A fault is found by an alarm that opens in [started, ended) on its asset. An alarm that was
    open already finds nothing: a detector that always cries would find everything.

    Parameters
    ----------
    labels : DataFrame of asset, started, ended, kind, tag
    alarms : DataFrame of asset, opened, cleared, first_tag, tags, message
    scored : DataFrame of asset, begin, end: the first and last instant that was scored; faults
        that lie outside were never looked at, and are left out

    Returns
    -------
    DataFrame of asset, kind, tag, started, ended, found, late (from `started` to the alarm), and
    the alarm's opened, cleared, first_tag, tags and message, null where it was missed; by time
    """
    seen = (
        labels.join(scored, on="asset")
        .filter(pl.col("ended") > pl.col("begin"), pl.col("started") <= pl.col("end"))
        .select("asset", "kind", "tag", "started", "ended")
        .with_row_index("fault")
    )
    inside = pl.col("opened").is_between("started", "ended", closed="left")
    first = (
        seen.select("fault", "asset", "started", "ended")
        .join(alarms.select("asset", *_ALARM), on="asset")
        .filter(inside)
        .sort("opened")
        .unique("fault", keep="first", maintain_order=True)
        .select("fault", *_ALARM)
    )
    return (
        seen.join(first, on="fault", how="left", maintain_order="left")
        .with_columns(
            found=pl.col("opened").is_not_null(), late=pl.col("opened") - pl.col("started")
        )
        .sort("started", "asset", maintain_order=True)
        .drop("fault")
    )
