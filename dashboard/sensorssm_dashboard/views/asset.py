"""One asset: how unusual it is, which tag did it, and what each tag does and should do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import choose, data, health, live, text
from sensorssm_dashboard.charts.contributions import blamed, heat_map, worst_first
from sensorssm_dashboard.charts.forecast import fan
from sensorssm_dashboard.charts.score import score
from sensorssm_dashboard.charts.style import Span
from sensorssm_dashboard.charts.trend import trend
from sensorssm_dashboard.explain import EXPLAINED, excursion, explained_at
from sensorssm_dashboard.known import known
from sensorssm_pipelines.store import Store

_TAGS: Final = 12  # charts on one page, of the tags with the most blame
_HORIZON: Final = timedelta(days=14)  # no forecast in the store looks further ahead
_KEY: Final = (
    "Solid: measured. Dashed: expected. Band: where 80 % of the readings were forecast to lie, one "
    "step ahead. Shaded: alarm, in the colour of its priority; violet: known fault. "
    "The tag with the largest part in the score comes first."
)


def page(store: Store) -> None:
    """Draw one asset over the chosen span; asset, span and end live in the URL."""
    live.show(store, _body)


def _body(store: Store) -> None:
    assets = data.read(store, "assets")["asset"].to_list()
    if not assets:
        st.title("Asset")
        st.info("No assets in this store yet. Fill it with `sensorssm demo`.")
        return
    choose.warn_of_unknown_asset(assets)
    place, length, end, jump = st.columns([3, 5, 3, 4])
    with place:
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
    with length:
        chosen = choose.choose_length()
    with end:
        until = choose.choose_end(covered)
    with jump:
        choose.go_to_alarm(alarms)
    _head(store, asset, alarms)
    _charts(store, asset, choose.span_of(chosen, until, covered), alarms)


def _head(store: Store, asset: str, alarms: pl.DataFrame) -> None:
    latest = data.read(store, "latest")
    newest: datetime | None = latest["time"].max()  # pyright: ignore[reportAssignmentType]
    row = next(latest.filter(asset=asset).iter_rows(named=True), None)
    word = health.asset_health(row, alarms, newest)
    described = data.read(store, "assets", asset)["description"][0]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(text.plain(asset), width="content", anchor=False)
        st.badge(word.word, icon=word.icon, color=word.badge)  # pyright: ignore[reportArgumentType]
        st.caption(text.plain(described or ""))


def _charts(store: Store, asset: str, span: Span, alarms: pl.DataFrame) -> None:
    labels = data.read(store, "labels", asset)
    spans = pl.concat([data.label_spans(labels), data.alarm_spans(alarms)])
    scores = data.scores(store, asset, *span)
    readings = blamed(data.explained(store, asset, span), scores)
    if scores.is_empty():
        st.info(f"No scores from {text.span(*span)}. Choose another span.")
    else:
        chart = score(scores, span, spans=spans)
        st.altair_chart(chart, theme=None, alt=f"Score of {asset} against its threshold")
    if readings["blame"].count():
        chart = heat_map(readings, span)
        st.altair_chart(chart, theme=None, alt="Share of each tag in the score over time")
    names = ["Tags", "Explain", "Forecast"]
    tags, why, forecasts = st.tabs(names, key="view", bind="query-params")
    if forecasts.open:
        with forecasts:
            _fans(store, asset, span[1])
    elif why.open:
        with why:
            _explain(store, asset, span, scores)
    else:
        with tags:
            _trends(store, asset, span, readings, spans)


def _trends(
    store: Store, asset: str, span: Span, readings: pl.DataFrame, spans: pl.DataFrame
) -> None:
    if readings.is_empty():
        st.info(f"No readings from {text.span(*span)}. Choose another span.")
        return
    st.caption(_KEY)
    grid = st.grid(columns=2, min_column_width=420, gap="small")
    for tag in worst_first(readings)[:_TAGS]:
        unit, about = known(store, asset, tag)
        title = f"{tag}  {about}".strip()
        chart = trend(readings.filter(tag=tag), span, title=title, unit=unit, spans=spans)
        grid.altair_chart(chart, theme=None, alt=f"{title}, measured and expected")


def _explain(store: Store, asset: str, span: Span, scores: pl.DataFrame) -> None:
    """Draw which tags made the score of one instant, by default the span's worst."""
    known_scores = scores.drop_nulls("score")
    if known_scores.is_empty():
        st.info("No score in this span, so nothing to explain. Choose another span.")
        return
    at = choose.choose_instant(known_scores)
    began = excursion(scores, at)
    rows = data.read(store, "explanations", asset, began, at + timedelta(microseconds=1))
    score = known_scores.filter(pl.col("time") == at).row(0, named=True)
    since = f", above it since {text.instant(began)}" if began < at else ""
    st.caption(
        f"Score {text.number(score['score'])} at {text.instant(at)}, threshold "
        f"{text.number(score['threshold'])}{since}. Share: the tag's part in this score. Moved: "
        "whose part was largest when the score rose."
    )
    units = {tag: known(store, asset, tag)[0] for tag in rows["tag"].unique()}
    table = explained_at(rows, at, units)
    st.dataframe(table, hide_index=True, height="content", column_config=EXPLAINED)


def _fans(store: Store, asset: str, end: datetime) -> None:
    """Draw the newest forecast that began before `end`, beside what was measured."""
    rows = data.read(store, "forecasts", asset, end - _HORIZON, end + _HORIZON)
    rows = rows.filter(pl.col("origin") < end)
    if rows.is_empty():
        st.info("No forecast began in this span. Fit a forecaster, or choose another span.")
        return
    rows = rows.filter(pl.col("origin") == pl.col("origin").max())
    origin: datetime = rows["origin"][0]
    until: datetime = rows["time"].max()  # pyright: ignore[reportAssignmentType]
    history = data.read(store, "readings", asset, origin - 2 * (until - origin), until)
    st.caption(
        f"Forecast from {text.instant(origin)}: median and the band that should hold 80 % of "
        "the readings. The thin grey line is what came."
    )
    grid = st.grid(columns=2, min_column_width=420, gap="small")
    for tag in rows["tag"].unique(maintain_order=True).to_list()[:_TAGS]:
        unit, about = known(store, asset, tag)
        title = f"{tag}  {about}".strip()
        chart = fan(history.filter(tag=tag), rows.filter(tag=tag), title=title, unit=unit)
        grid.altair_chart(chart, theme=None, alt=f"{title}, forecast")
