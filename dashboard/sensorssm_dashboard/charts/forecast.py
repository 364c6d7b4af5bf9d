"""The fan: what was, where the last forecast began, and where the tag should go."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import altair as alt
import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts import style
from sensorssm_dashboard.downsample import thin


def fan(
    history: pl.DataFrame, forecast: pl.DataFrame, *, title: str, unit: str, height: int = 110
) -> Any:
    """Return readings up to the origin and the 80 % fan after it.

    Parameters
    ----------
    history : DataFrame with time, value in the tag's unit; readings after the origin are drawn
        too, thin, so that a replayed forecast can be judged by what came
    forecast : DataFrame with time, origin, q10, q50, q90 of one origin; not empty
    title, unit : shown as they are; `unit` titles the y axis
    height : px of the plot
    """
    origin: datetime = forecast["origin"][0]
    times = pl.concat([history.select("time"), forecast.select("time")])["time"]
    span: Any = (times.min(), times.max())
    y = style.value_axis("value", unit or "no unit")
    seen = thin(history.filter(pl.col("time") <= origin), ["value"], points=600)
    came = thin(history.filter(pl.col("time") >= origin), ["value"], points=600)
    ahead = alt.Chart(forecast.select("time", "q10", "q90", value="q50"))
    start = alt.Chart(pl.DataFrame({"time": [origin]}))
    shown = style.tooltips({"q10": "10 %", "value": "median", "q90": "90 %"})
    touch = ahead.transform_calculate(when=style.WHEN).mark_point(size=40, opacity=0)
    layers = [
        style.frame(span, ticks=5),
        ahead.mark_area(color=palette.MIST, opacity=0.85).encode(
            x=style.TIME, y="q10:Q", y2="q90:Q"
        ),
        *style.line(came, y, color=palette.QUIET, strokeWidth=0.9),
        *style.line(seen, y, color=palette.INK, strokeWidth=1.3),
        ahead.mark_line(color=palette.SLATE, strokeWidth=1.6).encode(x=style.TIME, y=y),
        touch.encode(x=style.TIME, y=y, tooltip=shown),
        start.mark_rule(color=palette.QUIET, strokeDash=[2, 3]).encode(x=style.TIME),
    ]
    return style.finished(layers, height, title)
