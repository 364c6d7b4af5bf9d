"""What every chart shares: a UTC axis of fixed width, small grey type, spans drawn behind lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import altair as alt
import polars as pl

from sensorssm_dashboard import palette

Span = tuple[datetime, datetime]

#: Px left of the plot, the same for all of a kind, so that charts below each other line up.
GUTTER: Final = 50
WIDE_GUTTER: Final = 130
_TITLE: Final = 16  # px of a y axis's own title beside it

#: A chart's time as text; a tooltip has no scale of its own and would speak browser time.
WHEN: Final = "utcFormat(toDate(datum.time), '%Y-%m-%d %H:%M') + ' UTC'"


_TICKS: Final[Any] = {
    "minutes": "%H:%M", "hours": "%H:%M", "day": "%d %b", "date": "%d %b", "week": "%d %b",
    "month": "%d %b", "year": "%Y",
}  # fmt: skip
_UTC: Final = alt.Scale(type="utc", nice=False)

#: The x channels of every layer but the first.
TIME: Final = alt.X("time:T", scale=_UTC)
STARTED: Final = alt.X("started:T", scale=_UTC)


def frame(span: Span, *, title: str | None = None, ticks: int = 9) -> alt.Chart:
    """Return the unseen first layer of a chart over time, which gives the x axis its ends.

    Two points do it: Vega-Lite warns of a conflict when several layers name the same domain.
    """
    axis = alt.Axis(labelOverlap=True, tickCount=ticks, format=_TICKS)
    ends = alt.Chart(pl.DataFrame({"time": span})).mark_point(opacity=0)
    return ends.encode(x=alt.X("time:T", title=title, axis=axis, scale=_UTC))


def value_axis(
    field: str, title: str | None, *, zero: bool = False, ticks: int = 4, gutter: int = GUTTER
) -> alt.Y:
    """Return a y channel with a gutter of fixed width and short number labels."""
    inner = gutter if title is None else gutter - _TITLE
    axis = alt.Axis(minExtent=inner, maxExtent=inner, tickCount=ticks, format=".6~g")
    return alt.Y(f"{field}:Q", title=title, axis=axis, scale=alt.Scale(zero=zero))


def category_axis(field: str, title: str | None, sort: Any = None) -> alt.Y:
    """Return a y channel of names in the given order, cut where they leave the gutter."""
    axis = alt.Axis(
        minExtent=WIDE_GUTTER,
        maxExtent=WIDE_GUTTER,
        labelLimit=WIDE_GUTTER - 8,
        ticks=False,
        domain=False,
    )
    return alt.Y(f"{field}:N", title=title, axis=axis, sort=sort)


def inside(spans: pl.DataFrame, span: Span) -> pl.DataFrame:
    """Return the rows ``started``, ``ended`` that meet `span`, cut to it; open ones reach its end."""
    start, end = (pl.lit(t).cast(spans.schema["started"]) for t in span)
    return spans.with_columns(ended=pl.col("ended").fill_null(end)).filter(
        (pl.col("started") < end) & (pl.col("ended") > start)
    ).with_columns(
        started=pl.max_horizontal("started", start), ended=pl.min_horizontal("ended", end)
    )  # fmt: skip


def shade(spans: pl.DataFrame, span: Span, *, opacity: float = 0.16) -> list[alt.Chart]:
    """Return bands behind a chart where `spans` lie, or nothing when none does.

    `spans` has ``started``, ``ended`` (null = still going on), ``what`` and ``colour``.
    """
    shown = inside(spans, span).select("started", "ended", "what", "colour")
    if shown.is_empty():
        return []
    band = alt.Chart(shown).mark_rect(opacity=opacity).encode(
        x=STARTED,
        x2="ended:T",
        color=alt.Color("colour:N", scale=None),
        tooltip=alt.Tooltip("what:N", title="Span"),
    )  # fmt: skip
    return [band]


def line(rows: pl.DataFrame, y: alt.Y, **mark: Any) -> list[alt.Chart]:
    """Return the line through `rows`, broken at nulls, or nothing when there are no rows."""
    if rows.is_empty():
        return []
    # A reading between two gaps is a path without length: a round cap makes it a dot.
    return [alt.Chart(rows).mark_line(strokeCap="round", **mark).encode(x=TIME, y=y)]


def tooltips(fields: dict[str, str], form: str = ".4~g") -> list[alt.Tooltip]:
    """Return the time, from `WHEN`, and the numbers of `fields` (field: title) for a tooltip."""
    numbers = [alt.Tooltip(f"{name}:Q", title=title, format=form) for name, title in fields.items()]
    return [alt.Tooltip("when:N", title="Time"), *numbers]


def finished(layers: Sequence[alt.Chart], height: int, title: str | None = None) -> alt.LayerChart:
    """Return `layers` in the house's type, colours and margins, drawn as SVG to stay sharp.

    All is given at once: each later `properties` or `configure` would copy the whole chart.
    """
    return alt.LayerChart(
        layer=list(layers), height=height, width="container", autosize=_FIT, usermeta=_EMBED,
        config=_CONFIG, title=alt.Undefined if title is None else title,
    )  # fmt: skip


_PADDING: Final = {"left": 8, "right": 14, "top": 8, "bottom": 2}
_EMBED: Final[Any] = {"embedOptions": {"renderer": "svg", "padding": _PADDING}}
# Without it Streamlit fits axes and title into the height, and a short chart has no plot left.
_FIT: Final[Any] = {"type": "fit-x", "contains": "padding"}
_TYPE: Final = {"labelColor": palette.QUIET, "titleColor": palette.QUIET, "labelFontSize": 11}
_CONFIG: Final[Any] = {
    "font": "'Source Sans', 'Source Sans 3', 'Helvetica Neue', Arial, sans-serif",
    "background": "transparent",
    "view": {"stroke": None},
    "axis": {
        **_TYPE, "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 6,
        "domain": False, "gridColor": palette.FAINT, "gridOpacity": 0.7,
        "tickColor": palette.FAINT,
    },
    "legend": {**_TYPE, "orient": "top", "direction": "horizontal", "offset": 2},
    "title": {
        "anchor": "start", "fontSize": 13, "fontWeight": 600, "color": palette.INK, "offset": 6,
    },
}  # fmt: skip
