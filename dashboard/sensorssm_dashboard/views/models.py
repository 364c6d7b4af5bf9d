"""How good the forecasters are, how far ahead they can be trusted, and where they are not."""

from __future__ import annotations

from typing import Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import choose, data, live, skill, text
from sensorssm_dashboard.charts.forecast import fan
from sensorssm_dashboard.charts.skill import coverage_curve, error_by_step
from sensorssm_dashboard.known import known
from sensorssm_pipelines.store import Store

_ORIGINS: Final = 200  # to choose a fan from; the newest ones
_COSTS: Final = {"fit_s": "fit, s", "step_us": "a step, µs", "state_bytes": "state, bytes"}
_PERCENT: Final = "%.1f %%"


def page(store: Store) -> None:
    """Draw the newest backtest, and the forecasts that were stored."""
    live.show(store, _body)


def _body(store: Store) -> None:
    st.title("Models")
    judged = skill.newest(data.read(store, "skill"))
    if judged.is_empty():
        st.info(
            "No forecaster has been judged here yet. Run `sensorssm backtest RECIPE`, with "
            "`--models ssm,dlinear,lstm` to compare rivals.",
            icon=":material/monitoring:",
        )
    else:
        _judged(store, judged)
    _fans(store)


def _judged(store: Store, judged: pl.DataFrame) -> None:
    levels = data.read(store, "calibration").filter(pl.col("run") == judged["run"][0])
    models = skill.ours_first(judged["model"].unique().to_list())
    st.caption(
        f"{text.plural(judged['asset'].n_unique(), 'asset')}, "
        f"{text.plural(judged['tag'].n_unique(), 'tag')}, up to {judged['step'].max()} steps ahead, "
        "on rows that no model has seen. Errors are in spreads of each tag: less is better."
    )
    _table(store, skill.by_model(judged, levels), judged["run"][0])
    left, right = st.columns(2)
    left.altair_chart(
        error_by_step(skill.by_step(judged), models),
        theme=None,
        alt="Error by step, a line a model",
    )
    right.altair_chart(
        coverage_curve(skill.coverage(levels), models),
        theme=None,
        alt="Measured coverage over asked coverage, a line a model",
    )
    _where(skill.by_tag(judged), models)


def _table(store: Store, rows: pl.DataFrame, run: str) -> None:
    """Draw one row a model, with what it costs where that was measured."""
    number, share = (st.column_config.NumberColumn(format=f) for f in ("%.3f", _PERCENT))
    look = {"pinball": number, "mae": number, "gain": share, "80 % band holds": share}
    named = rows.with_columns(pl.col("model").map_elements(text.cell, pl.String))
    costs = _costs(data.read(store, "metrics").filter(pl.col("run") == run))
    table = named.with_columns(pl.col("gain", "band") * 100).rename({"band": "80 % band holds"})
    table = table.join(costs, on="model", how="left")
    st.dataframe(table, hide_index=True, height="content", column_config=look)
    st.caption("Gain: the share of the best other model's loss that this one saves.")


def _costs(metrics: pl.DataFrame) -> pl.DataFrame:
    """Return model and what it costs, over assets and horizons; no column that nobody measured."""
    name = pl.col("metric").str.split(" at ").list.first()
    costs = metrics.with_columns(name).filter(pl.col("metric").is_in(list(_COSTS)))
    means = costs.group_by("model", "metric").agg(pl.col("value").mean())
    wide = means.pivot(on="metric", index="model", values="value")
    shown = [column for column in _COSTS if column in wide.columns]
    return wide.select("model", *shown).rename({column: _COSTS[column] for column in shown})


def _where(rows: pl.DataFrame, models: list[str]) -> None:
    """Draw where our model gains least: the tags to look at first."""
    if rows.is_empty():
        return
    behind = rows.filter(pl.col("gain") < 0).height
    st.subheader(
        f"Where {text.plain(models[0])} gains least: behind on {behind} of "
        f"{text.plural(rows.height, 'tag')}"
    )
    names = pl.col("asset", "tag", "rival").map_elements(text.cell, pl.String)
    look = {
        "ours": st.column_config.NumberColumn(f"loss of {models[0]}", format="%.3f"),
        "rival": st.column_config.TextColumn("best rival"),
        "gain": st.column_config.NumberColumn("gain on it", format=_PERCENT),
    }
    shown = rows.with_columns(names, pl.col("gain") * 100)
    st.dataframe(shown, hide_index=True, column_config=look)


def _fans(store: Store) -> None:
    """Draw the forecast of a chosen asset, from a chosen origin, beside what came."""
    forecasts = data.read(store, "forecasts")
    if forecasts.is_empty():
        return
    st.subheader("A forecast and what came")
    assets = forecasts["asset"].unique().sort().to_list()
    place, when = st.columns([3, 5])
    with place:
        asset = choose.choose_asset(assets)
    rows = forecasts.filter(asset=asset)
    ahead = rows.select(longest=(pl.col("time") - pl.col("origin")).max()).item()
    origins = rows["origin"].unique().sort(descending=True).head(_ORIGINS).to_list()
    # The newest forecast whose end has come can be judged by eye; newer ones cannot.
    whole = next((i for i, o in enumerate(origins) if o + ahead <= origins[0]), 0)
    with when:
        origin = st.selectbox("From", origins, whole, key="origin", format_func=text.instant)
    chosen = rows.filter(pl.col("origin") == origin)
    history = data.read(store, "readings", asset, origin - 2 * ahead, origin + ahead)
    grid = st.grid(columns=3, min_column_width=340, gap="small")
    for tag in chosen["tag"].unique(maintain_order=True).to_list():
        unit, about = known(store, asset, tag)
        title = f"{tag}  {about}".strip()
        chart = fan(history.filter(tag=tag), chosen.filter(tag=tag), title=title, unit=unit)
        grid.altair_chart(chart, theme=None, alt=f"{title}, forecast from {text.instant(origin)}")
