"""One tag over time: its reading, what the model expected and the band it allowed."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts import style
from sensorssm_dashboard.downsample import thin

_POINTS: Final = 600  # two charts share the width of a page


def trend(
    readings: pl.DataFrame,
    span: style.Span,
    *,
    title: str,
    unit: str,
    spans: pl.DataFrame,
    height: int = 110,
) -> Any:
    """Return one tag's trend: ``value`` over ``expected`` and the band ``lower`` to ``upper``.

    Parameters
    ----------
    readings : DataFrame with time, value, expected, lower, upper, in the tag's unit; null =
        missing, which stays a gap
    span : start and end of the x axis
    title, unit : shown as they are; `unit` titles the y axis
    spans : started, ended, what, colour; shaded behind the lines
    height : px of the plot
    """
    y = style.value_axis("value", unit or "no unit")
    expected = thin(readings, ["expected"], points=_POINTS).rename({"expected": "value"})
    measured = thin(readings, ["value"], points=_POINTS)
    dashes = {"color": palette.SLATE, "strokeWidth": 1.1, "strokeDash": [4, 3]}
    layers = [
        style.frame(span, ticks=5),
        *style.shade(spans, span),
        *_band(readings),
        *style.line(expected, y, **dashes),
        *style.line(measured, y, color=palette.INK, strokeWidth=1.2),
        _pointer(readings, y, unit),
    ]
    return style.finished(layers, height, title)


def _band(readings: pl.DataFrame) -> list[alt.Chart]:
    rows = thin(readings, ["lower", "upper"], points=_POINTS)
    if rows.is_empty():
        return []
    band = alt.Chart(rows).mark_area(color=palette.MIST, opacity=0.75)
    return [band.encode(x=style.TIME, y="lower:Q", y2="upper:Q")]


def _pointer(readings: pl.DataFrame, y: alt.Y, unit: str) -> alt.Chart:
    """Return the dot and the numbers under the pointer."""
    columns = ("value", "expected", "lower", "upper")
    kept = thin(readings, ["value"], points=300).drop_nulls()
    rows = kept.select("time").join(readings.select("time", *columns), on="time", how="left")
    near = alt.selection_point(
        nearest=True, on="pointermove", clear="pointerout", fields=["time"], empty=False
    )
    titles = {name: f"{name} [{unit}]" if unit else name for name in columns}
    return (
        alt.Chart(rows)
        .transform_calculate(when=style.WHEN)
        .mark_point(size=36, filled=True, color=palette.INK)
        .encode(
            x=style.TIME,
            y=y,
            tooltip=style.tooltips(titles),
            opacity=alt.condition(near, alt.value(1), alt.value(0)),
        )
        .add_params(near)
    )
