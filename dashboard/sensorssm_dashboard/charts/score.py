"""The score against its threshold: the one line that decides."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts import style
from sensorssm_dashboard.downsample import thin


def score(
    scores: pl.DataFrame,
    span: style.Span,
    *,
    spans: pl.DataFrame,
    height: int = 110,
) -> Any:
    """Return ``score`` with its stepped ``threshold``; `spans` are shaded behind.

    Parameters
    ----------
    scores : DataFrame with time, score, threshold (no unit); a null score stays a gap
    span : start and end of the x axis
    spans : started, ended, what, colour; shaded behind the lines
    height : px of the plot
    """
    y = style.value_axis("score", "score", zero=True, gutter=style.WIDE_GUTTER)
    layers = [
        style.frame(span, title="UTC"),
        *style.shade(spans, span),
        *_lines(scores, y),
    ]
    return style.finished(layers, height, "Score against threshold")


def sparkline(scores: pl.DataFrame, span: style.Span, *, spans: pl.DataFrame) -> Any:
    """Return the score chart of an overview tile: no titles, few ticks, the same meaning."""
    y = style.value_axis("score", None, zero=True, ticks=2, gutter=26)
    layers = [style.frame(span, ticks=4), *style.shade(spans, span), *_lines(scores, y, points=360)]
    return style.finished(layers, 84)


def _lines(scores: pl.DataFrame, y: alt.Y, *, points: int = 1200) -> list[alt.Chart]:
    limit = thin(scores, ["threshold"], points=points).rename({"threshold": "score"})
    dashes = {"color": palette.LIMIT, "strokeWidth": 1, "strokeDash": [5, 3]}
    drawn = thin(scores, ["score"], points=points)
    touch = alt.Chart(drawn).transform_calculate(when=style.WHEN).mark_point(size=40, opacity=0)
    return [
        *style.line(limit, y, interpolate="step-after", **dashes),
        *style.line(drawn, y, color=palette.INK, strokeWidth=1.2),
        touch.encode(x=style.TIME, y=y, tooltip=style.tooltips({"score": "Score"})),
    ]
