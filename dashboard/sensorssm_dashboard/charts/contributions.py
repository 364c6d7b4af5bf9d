"""Which tag did it: the share of every tag in the score, as a heat map over time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import altair as alt
import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts import style

_COLUMNS: Final = 160  # cells across; a finer grid is not seen on a screen
_ROWS: Final = 10


def blamed(readings: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Return `readings` with ``blame``: a tag's contribution, faded while the score is low.

    While all is well some tag still has the largest share of a small score. Blame is the share
    times score over threshold, at most 1, so that colour is left for what matters.

    Parameters
    ----------
    readings : DataFrame with time, tag, contribution (0 to 1)
    scores : DataFrame with time, score, threshold
    """
    ratio = (pl.col("score") / pl.col("threshold")).clip(0, 1)
    ratios = scores.select("time", _ratio=ratio).unique("time")
    return readings.join(ratios, on="time", how="left", maintain_order="left").select(
        pl.exclude("_ratio"), blame=pl.col("contribution") * pl.col("_ratio")
    )


def worst_first(shares: pl.DataFrame) -> list[str]:
    """Return the tags, those with the most ``blame`` first."""
    total = pl.col("blame").filter(pl.col("blame").is_finite()).sum()
    tags = shares.group_by("tag").agg(total=total)
    return tags.sort("total", "tag", descending=[True, False])["tag"].to_list()


def binned(shares: pl.DataFrame, span: style.Span) -> pl.DataFrame:
    """Return the largest ``blame`` of each tag in each of at most 160 equal bins of time.

    The largest, not the mean: an hour's fault must still be seen when a month is on the screen.
    Rows: tag, started, ended, blame; of the ten tags with the most blame.
    """
    origin = int(span[0].timestamp() * 1e6)
    width = max((span[1] - span[0]) / _COLUMNS, timedelta(minutes=1))
    steps = (pl.col("time").dt.epoch("us") - origin) // int(width / timedelta(microseconds=1))
    started = (steps * int(width / timedelta(microseconds=1)) + origin).cast(shares.schema["time"])
    return (
        shares.filter(pl.col("blame").is_finite(), pl.col("tag").is_in(worst_first(shares)[:_ROWS]))
        .group_by("tag", started=started)
        .agg(pl.col("blame").max())
        .with_columns(ended=pl.min_horizontal(pl.col("started") + width, pl.lit(span[1])))
        .select("tag", "started", "ended", "blame")
        .sort("tag", "started")
    )


def heat_map(shares: pl.DataFrame, span: style.Span) -> Any:
    """Return a heat map of `shares` (time, tag, blame 0 to 1), the worst tag on top."""
    cells = binned(shares, span)
    order = worst_first(shares)[:_ROWS]
    title = "Which tag: its share of the score, faded while the score is below its threshold"
    shade = alt.Scale(domain=[0, 1], range=[0, 1])
    when = style.WHEN.replace("datum.time", "datum.started")
    shown = style.tooltips({"blame": "Share, faded"}, ".0%")
    layers = [
        style.frame(span, title="UTC"),
        alt.Chart(cells)
        .transform_calculate(when=when)
        .mark_rect(color=palette.BLAME)
        .encode(
            x=style.STARTED,
            x2="ended:T",
            y=style.category_axis("tag", None, sort=order),
            opacity=alt.Opacity("blame:Q", scale=shade, legend=None),
            tooltip=[*shown, alt.Tooltip("tag:N", title="Tag")],
        ),
    ]
    return style.finished(layers, 19 * max(len(order), 1), title)
