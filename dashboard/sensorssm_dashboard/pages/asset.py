"""One asset: how unusual it is, which tag did it, and what each tag does and should do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import choose, data, health, live, text
from sensorssm_dashboard.charts.contributions import heat_map
from sensorssm_dashboard.charts.forecast import fan
from sensorssm_dashboard.charts.score import score
from sensorssm_dashboard.charts.style import Span
from sensorssm_dashboard.charts.trend import trend
from sensorssm_pipelines.store import Store

_TAGS: Final = 12  # charts on one page; more are picked by name
_JUMP: Final = "jump"


def page(store: Store) -> None:
    """Draw one asset over the chosen span; asset, span and end live in the URL."""
    assets = data.read(store, "assets")["asset"].to_list()
    if not assets:
        live.banner(live.freshness_of(store))
        st.title("Asset")
        st.info("No assets in this store yet. Fill it with `sensorssm demo`.")
        return
    live.show(store, _body)


def _body(store: Store) -> None:
    assets = data.read(store, "assets")["asset"].to_list()
    chosen = st.columns([3, 5, 3, 4])
    with chosen[0]:
        asset = choose.choose_asset(assets)
    covered = data.covered(store, asset)
    if covered is None:
        st.info(
            f"No readings of {text.plain(asset)} have been stored yet. Run `sensorssm score` "
            "with a fitted model to fill this page.",
            icon=":material/query_stats:",
        )
        return
    alarms = data.read(store, "alarms", asset)
    with chosen[1]:
        length = choose.choose_length()
    with chosen[2]:
        end = choose.choose_end(covered)
    with chosen[3]:
        _jump(alarms)
    _head(store, asset, alarms)
    _charts(store, asset, choose.span_of(length, end, covered), alarms)


def _jump(alarms: pl.DataFrame) -> None:
    """Offer the asset's alarms, the newest first; choosing one moves the time axis to it."""
    rows = alarms.sort("opened", descending=True).to_dicts()
    st.selectbox(
        "Go to alarm", rows, index=None, key=_JUMP, on_change=_go,
        format_func=lambda a: f"{text.instant(a['opened'])} · {text.plain(a['first_tag'] or '?')}",
        placeholder="choose one" if rows else "none", disabled=not rows,
    )  # fmt: skip


def _go() -> None:
    alarm = st.session_state[_JUMP]
    if alarm is None:
        return
    start, ended = alarm["opened"], alarm["cleared"] or alarm["opened"]
    st.session_state["until"] = (ended + max((ended - start) / 2, timedelta(hours=6))).replace(
        tzinfo=None, second=0, microsecond=0
    )
    st.session_state["span"] = "24 h" if ended - start < timedelta(hours=12) else "7 d"
    st.session_state[_JUMP] = None


def _head(store: Store, asset: str, alarms: pl.DataFrame) -> None:
    latest = data.read(store, "latest")
    newest: datetime | None = latest["time"].max()  # pyright: ignore[reportAssignmentType]
    row = next(latest.filter(asset=asset).iter_rows(named=True), None)
    word = health.asset_health(row, alarms, newest)
    described = data.read(store, "assets", asset)["description"][0]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(text.plain(asset), width="content")
        st.badge(word.word, icon=word.icon, color=word.badge)  # pyright: ignore[reportArgumentType]
        st.caption(text.plain(described or ""))


def _charts(store: Store, asset: str, span: Span, alarms: pl.DataFrame) -> None:
    scores = data.read(store, "scores", asset, *span)
    shares = data.read(store, "explanations", asset, *span)
    shaded = {
        "alarms": data.alarm_spans(alarms),
        "labels": data.label_spans(data.read(store, "labels", asset)),
    }
    if scores.is_empty():
        st.info(f"No scores between {text.span(*span)}. Choose another span.")
    else:
        st.altair_chart(score(scores, span, **shaded), theme=None)
    if not shares["contribution"].is_null().all():
        st.altair_chart(heat_map(shares, span), theme=None)
    tags, forecasts = st.tabs(["Tags: measured and expected", "Forecast"])
    with tags:
        _trends(store, asset, span, shares, shaded)
    with forecasts:
        _fans(store, asset, span[1])


def _trends(
    store: Store, asset: str, span: Span, shares: pl.DataFrame, shaded: dict[str, pl.DataFrame]
) -> None:
    readings = shares if not shares.is_empty() else _plain_readings(store, asset, span)
    if readings.is_empty():
        st.info(f"No readings between {text.span(*span)}. Choose another span.")
        return
    st.caption(_KEY)
    grid = st.grid(columns=2, min_column_width=420, gap="small")
    for tag in _by_share(readings)[:_TAGS]:
        known = data.read(store, "tags", asset).filter(tag=tag)
        unit = text.unit(known["unit"][0]) if known.height else ""
        about = (known["description"][0] or "") if known.height else ""
        chart = trend(
            readings.filter(tag=tag), span, title=f"{tag}  {about}".strip(), unit=unit, **shaded
        )
        grid.altair_chart(chart, theme=None)


_KEY: Final = (
    "Dark line: measured. Dashed: expected one step before, with the band it should stay in. "
    "Red: alarm. Violet: known fault. Tags with the largest share of the score come first."
)


def _plain_readings(store: Store, asset: str, span: Span) -> pl.DataFrame:
    """Return readings as explanations without an expectation, for a store that has no model."""
    nothing = pl.lit(None, dtype=pl.Float64)
    return data.read(store, "readings", asset, *span).with_columns(
        expected=nothing, lower=nothing, upper=nothing, contribution=nothing
    )


def _by_share(readings: pl.DataFrame) -> list[str]:
    """Return the tags, those with the largest share of the score first."""
    share = pl.col("contribution").fill_nan(None).sum()
    worst = readings.group_by("tag").agg(share=share)
    return worst.sort("share", "tag", descending=[True, False])["tag"].to_list()


def _fans(store: Store, asset: str, end: datetime) -> None:
    """Draw the newest forecast that began before `end`, beside what was measured."""
    ahead = timedelta(days=14)
    rows = data.read(store, "forecasts", asset, end - ahead, end + ahead)
    rows = rows.filter(pl.col("origin") < end)
    if rows.is_empty():
        st.info("No forecast began in this span. Fit a forecaster, or choose another span.")
        return
    rows = rows.filter(pl.col("origin") == pl.col("origin").max())
    origin, until = rows["origin"][0], rows["time"].max()
    history = data.read(store, "readings", asset, origin - 2 * (until - origin), until)
    st.caption(
        f"Forecast from {text.instant(origin)}: median and the band that should hold 80 % of "
        "the readings. The thin grey line is what came."
    )
    grid = st.grid(columns=2, min_column_width=420, gap="small")
    for tag in rows["tag"].unique(maintain_order=True).to_list()[:_TAGS]:
        known = data.read(store, "tags", asset).filter(tag=tag)
        unit = text.unit(known["unit"][0]) if known.height else ""
        chart = fan(history.filter(tag=tag), rows.filter(tag=tag), title=tag, unit=unit)
        grid.altair_chart(chart, theme=None)
