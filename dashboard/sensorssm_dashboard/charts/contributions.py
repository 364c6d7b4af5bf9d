"""Which tag did it: the share of every tag in the score, as a heat map over time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import altair as alt
import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts import style

_COLUMNS: Final = 160  # cells across; a finer grid is not seen on a screen
_ROWS: Final = 16


def binned(shares: pl.DataFrame, span: style.Span) -> pl.DataFrame:
    """Return the largest ``contribution`` of each tag in each of at most 160 equal bins of time.

    The largest, not the mean: an hour's fault must still be seen when a month is on the screen.
    Rows: tag, started, ended, contribution; the sixteen tags with the largest share, worst first.
    """
    width = max((span[1] - span[0]) / _COLUMNS, timedelta(minutes=1))
    micro = int(width / timedelta(microseconds=1))
    offset = pl.col("time").dt.epoch("us") - int(span[0].timestamp() * 1e6)
    started = (offset // micro * micro + int(span[0].timestamp() * 1e6)).cast(shares.schema["time"])
    cells = (
        shares.filter(pl.col("contribution").is_finite())
        .group_by("tag", started=started)
        .agg(pl.col("contribution").max())
        .with_columns(ended=pl.min_horizontal(pl.col("started") + width, pl.lit(span[1])))
    )
    worst = cells.group_by("tag").agg(total=pl.col("contribution").sum())
    tags = worst.sort("total", "tag", descending=[True, False]).head(_ROWS)
    return tags.join(cells, on="tag", how="inner").sort(
        ["total", "tag", "started"], descending=[True, False, False]
    ).select("tag", "started", "ended", "contribution")  # fmt: skip


def heat_map(shares: pl.DataFrame, span: style.Span) -> Any:
    """Return a heat map of `shares` (time, tag, contribution 0 to 1), the worst tag on top."""
    cells = binned(shares, span)
    order = cells["tag"].unique(maintain_order=True).to_list()
    title = "Which tag: share of the score, from none (white) to all of it (brown)"
    scale = alt.Scale(domain=[0, 1], range=_SHADES, interpolate="rgb")
    when = style.WHEN.replace("datum.time", "datum.started")
    shown = style.tooltips({"contribution": "Share"}, ".0%")
    layers = [
        style.frame(span, title="UTC"),
        alt.Chart(cells)
        .transform_calculate(when=when)
        .mark_rect()
        .encode(
            x=style.STARTED,
            x2="ended:T",
            y=style.category_axis("tag", None, sort=order),
            color=alt.Color("contribution:Q", scale=scale, legend=None),
            # Closes the seams between neighbouring cells.
            stroke=alt.Stroke("contribution:Q", scale=scale, legend=None),
            tooltip=[*shown, alt.Tooltip("tag:N", title="Tag")],
        ),
    ]
    return style.finished(layers, 20 * max(len(order), 1), title)


_SHADES: Final = [palette.PAPER, "#ecdcc6", "#c48a4a", "#6e3a08"]
