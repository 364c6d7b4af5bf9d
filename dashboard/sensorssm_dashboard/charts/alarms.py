"""Alarms over time, one row per asset, in the colour and shape of their priority."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts import style

#: Rows of the timeline: what stands below it must stay in reach in a fleet of hundreds.
_LANES: Final = 20


def timeline(alarms: pl.DataFrame, labels: pl.DataFrame, span: style.Span) -> Any:
    """Return a bar from opened to cleared for every alarm, and the labels as brackets below.

    Of more than twenty assets those with the newest alarms are drawn.

    Parameters
    ----------
    alarms : asset, opened, cleared (null = still open), priority, state, first_tag, message
    labels : asset, started, ended, kind: the known faults, if any
    span : start and end of the x axis
    """
    assets = _lanes(alarms, labels)
    labels = labels.filter(pl.col("asset").is_in(assets))
    rows = alarms.filter(pl.col("asset").is_in(assets)).with_columns(
        started="opened",
        ended="cleared",
        level=pl.col("priority").map_elements(lambda p: palette.priority(p).word, pl.String),
    )
    bars = style.inside(rows, span).select(
        "asset", "started", "ended", "level", "state", "first_tag", "message"
    )
    looks = [look for look in palette.PRIORITIES.values() if look.word in set(rows["level"])]
    levels = [p.word for p in looks]
    shown = ["asset", "level", "state", "first_tag", "message"]
    y = style.category_axis("asset", None, sort=assets)
    base = alt.Chart(bars).encode(
        x=style.STARTED,
        y=y,
        color=alt.Color(
            "level:N", scale=alt.Scale(domain=levels, range=[p.colour for p in looks]),
            legend=alt.Legend(title=None),
        ),
        tooltip=[alt.Tooltip(f"{name}:N", title=name.replace("_", " ")) for name in shown],
    )  # fmt: skip
    layers = [
        style.frame(span, title="UTC"),
        *_known(labels, span, y),
        base.mark_bar(height=10, opacity=0.75).encode(x2="ended:T"),
        # A five-minute alarm is narrower than a pixel in a month: its mark keeps it in sight.
        base.mark_point(size=55, filled=True, opacity=1).encode(
            shape=alt.Shape(
                "level:N", scale=alt.Scale(domain=levels, range=[p.shape for p in looks])
            )
        ),
    ]
    return style.finished(layers, 30 * max(len(assets), 1))


def _lanes(alarms: pl.DataFrame, labels: pl.DataFrame) -> list[str]:
    """Return the assets to draw, by name: those with alarms, the newest first, then the others."""
    newest = alarms.sort("opened", descending=True)["asset"].to_list()
    every = dict.fromkeys([*newest, *labels["asset"].sort().to_list()])
    return sorted(list(every)[:_LANES])


def _known(labels: pl.DataFrame, span: style.Span, y: alt.Y) -> list[alt.Chart]:
    rows = style.inside(labels, span).select("asset", "started", "ended", "kind")
    if rows.is_empty():
        return []
    bracket = alt.Chart(rows).mark_bar(height=24, color=palette.LABEL, opacity=0.2)
    shown = alt.Tooltip("kind:N", title="known fault")
    return [bracket.encode(x=style.STARTED, x2="ended:T", y=y, tooltip=shown)]
