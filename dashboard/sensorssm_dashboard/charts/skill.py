"""How forecasters compare: their error by step, and the coverage they keep beside what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import altair as alt
import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts import style

#: The first model's line is drawn strong, the others' in muted colours that no alarm has.
_COLOURS: Final = palette.SERIES
_HEIGHT: Final = 240
_STRONG, _THIN = 2.4, 1.3  # px


def error_by_step(rows: pl.DataFrame, models: Sequence[str]) -> Any:
    """Return the pinball loss by step ahead, a line a model.

    Parameters
    ----------
    rows : DataFrame of model, step, pinball
    models : in the order of the legend; the first is drawn strong
    """
    x = alt.X("step:Q", title="steps ahead", axis=_whole(rows["step"].max()), scale=_FLAT)
    y = style.value_axis("pinball", "pinball loss, in spreads", zero=True)
    touch = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("step:Q", title="Step"),
        alt.Tooltip("pinball:Q", title="Loss", format=".4~g"),
    ]
    return style.finished(_lines(rows, x, y, models, touch), _HEIGHT, "Error by step ahead")


def coverage_curve(rows: pl.DataFrame, models: Sequence[str]) -> Any:
    """Return measured over asked coverage, a line a model, beside the diagonal of the honest.

    Parameters
    ----------
    rows : DataFrame of model, asked, measured, shares of 0 to 1
    models : as for `error_by_step`
    """
    share = alt.Scale(domain=[0, 1], nice=False)
    x = alt.X("asked:Q", title="asked", scale=share, axis=alt.Axis(format=".0%", tickCount=6))
    y = alt.Y("measured:Q", title="measured", scale=share, axis=_SHARE)
    ends = alt.Chart(pl.DataFrame({"asked": [0.0, 1.0], "measured": [0.0, 1.0]}))
    honest = ends.mark_line(color=palette.QUIET, strokeWidth=1, strokeDash=[2, 3])
    touch = [
        alt.Tooltip("model:N", title="Model"),
        alt.Tooltip("asked:Q", title="Asked", format=".0%"),
        alt.Tooltip("measured:Q", title="Measured", format=".1%"),
    ]
    layers = [honest.encode(x=x, y=y), *_lines(rows, x, y, models, touch)]
    return style.finished(layers, _HEIGHT, "Readings inside the interval, asked and measured")


def _lines(
    rows: pl.DataFrame, x: alt.X, y: alt.Y, models: Sequence[str], touch: list[alt.Tooltip]
) -> list[alt.Chart]:
    colours = [_COLOURS[i % len(_COLOURS)] for i in range(len(models))]
    colour = alt.Color(
        "model:N",
        scale=alt.Scale(domain=list(models), range=colours),
        legend=alt.Legend(title=None, symbolType="stroke", symbolStrokeWidth=2),
    )
    width = pl.when(pl.col("model") == models[0]).then(_STRONG).otherwise(_THIN)
    base = alt.Chart(rows.with_columns(width=width)).encode(x=x, y=y, color=colour)
    return [
        base.mark_line(strokeCap="round").encode(
            strokeWidth=alt.StrokeWidth("width:Q", scale=None)
        ),
        base.mark_point(size=60, opacity=0, filled=True).encode(tooltip=touch),
    ]


def _whole(most: Any) -> alt.Axis:
    """Return an axis of whole steps: no tick at one and a half."""
    return alt.Axis(tickMinStep=1, tickCount=min(int(most or 1), 12), format="d", grid=False)


_FLAT: Final = alt.Scale(nice=False, zero=False)
_SHARE: Final = alt.Axis(format=".0%", tickCount=6, minExtent=34, maxExtent=34)
