"""The plant at a glance: is it live, is anything wrong, and where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import data, health, links, live, palette, text
from sensorssm_dashboard.charts.alarms import timeline
from sensorssm_dashboard.charts.score import sparkline
from sensorssm_dashboard.charts.style import Span
from sensorssm_dashboard.journal import JOURNAL, journal
from sensorssm_pipelines.store import Store

_SHOWN: Final = timedelta(days=7)
_NEWEST: Final = 6  # alarms listed here; the rest have a page of their own
_TILES: Final = 24  # assets with a tile, the worst; nobody looks at more, and each costs a chart
_COLUMNS: Final = ("opened", "priority", "state", "asset", "lasted", "message")
_OTHERS: Final[Any] = {
    "asset": pl.String, "state": pl.String, "score": pl.Float64, "threshold": pl.Float64,
    "time": pl.Datetime("us", "UTC"),
}  # fmt: skip
_WORST_FIRST: Final = (
    health.ALARM, health.SILENT, health.BAD_DATA, health.SEEN, health.UNUSUAL, health.UNKNOWN,
    health.NORMAL,
)  # fmt: skip


def page(store: Store) -> None:
    """Draw the plant: banner, counts, one tile an asset with the worst first, the alarms."""
    live.show(store, _body)


def _body(store: Store) -> None:
    st.title("Plant overview")
    assets = data.read(store, "assets")
    if assets.is_empty():
        st.info(
            "No assets in this store yet. Fill it with `sensorssm demo`, or with your own "
            "readings by `sensorssm run RECIPE`.",
            icon=":material/factory:",
        )
        return
    _last_run(store)
    latest, alarms = data.read(store, "latest"), data.read(store, "alarms")
    newest: datetime | None = latest["time"].max()  # pyright: ignore[reportAssignmentType]
    rows = {row["asset"]: row for row in latest.iter_rows(named=True)}
    words = {
        name: health.asset_health(rows.get(name), alarms.filter(asset=name), newest)
        for name in assets["asset"]
    }
    start = None if newest is None else newest - _SHOWN
    readings = data.read(store, "readings", None, start)
    _counts(words, alarms, readings, newest)
    order = sorted(
        assets.iter_rows(named=True), key=lambda a: _WORST_FIRST.index(words[a["asset"]])
    )
    columns = min(len(order), 3)
    tiles = st.grid(columns=columns, min_column_width=380, gap="small", border=True)
    for asset in order[:_TILES]:
        name = asset["asset"]
        with tiles.cell():
            mine = alarms.filter(asset=name), readings.filter(asset=name)
            _tile(store, asset, words[name], rows.get(name), newest, *mine)
    _others([asset["asset"] for asset in order[_TILES:]], words, rows)
    _all_alarms(store, alarms)


def _last_run(store: Store) -> None:
    """Say when the newest run has not come to its end: what is shown may be from before it."""
    runs = data.read(store, "runs").sort("started")
    if runs.is_empty():
        return
    status, started = runs["status"][-1], text.instant(runs["started"][-1])
    if status == "FAILED":
        st.warning(f"The last run failed ({started}): what is shown is older, or a part. See Runs.")
    elif status == "LOST":
        st.warning(
            f"The last run was killed ({started}) before it ended: what is shown is older, or a "
            "part. Run it again."
        )
    elif status == "RUNNING":
        st.info(f"A run that began at {started} has not ended: what is shown is older, or a part.")


def _counts(
    words: Mapping[str, palette.Look],
    alarms: pl.DataFrame,
    readings: pl.DataFrame,
    newest: datetime | None,
) -> None:
    calm = sum(word is health.NORMAL for word in words.values())
    with st.container(horizontal=True):
        st.metric("Assets normal", f"{calm} of {len(words)}", border=True)
        st.metric("Alarms open", f"{health.standing(alarms).height:,}", border=True)
        st.metric("To acknowledge", f"{health.waiting(alarms).height:,}", border=True)
        st.metric("Good readings, 7 days", text.percent(health.good_share(readings)), border=True)
        st.metric("Newest score", text.instant(newest), border=True)


def _tile(
    store: Store,
    asset: Mapping[str, Any],
    word: palette.Look,
    latest: Mapping[str, Any] | None,
    newest: datetime | None,
    alarms: pl.DataFrame,
    readings: pl.DataFrame,
) -> None:
    name = asset["asset"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        links.to_asset(name, name)
        st.caption(text.plain(asset["description"] or ""), width="stretch")
        st.badge(word.word, icon=word.icon, color=word.badge)  # pyright: ignore[reportArgumentType]
    if latest is None or newest is None:
        st.caption("No scores yet: fit a model and score this asset.")
        return
    span = (newest - _SHOWN, newest)
    scores = data.scores(store, name, span[0])
    chart = sparkline(scores, span, spans=data.alarm_spans(alarms))
    st.altair_chart(chart, theme=None, alt=f"Score of {name} against its threshold")
    st.caption(_facts(latest, alarms, readings, span))


def _facts(
    latest: Mapping[str, Any], alarms: pl.DataFrame, readings: pl.DataFrame, span: Span
) -> str:
    """Return the tile's last line: score, alarms, quality."""
    opened = health.standing(alarms).height
    week = alarms.filter(pl.col("opened") >= span[0]).height
    good = health.good_share(readings)
    score, limit = text.number(latest["score"]), text.number(latest["threshold"])
    facts = [
        f"Score **{score}** of {limit}",
        f"**{opened}** open, {text.plural(week, 'alarm')} in 7 days",
        f"{text.percent(good)} good",
    ]
    return " · ".join(facts)


def _others(
    names: list[str], words: Mapping[str, palette.Look], latest: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draw the assets that have no tile, a row each, in the same order."""
    if not names:
        return
    st.caption(f"And {text.plural(len(names), 'asset')} more, none of them worse:")
    nothing = {"score": None, "threshold": None, "time": None}
    table = [
        {"asset": text.cell(name), "state": words[name].word}
        | {key: latest.get(name, nothing)[key] for key in nothing}
        for name in names
    ]
    number = st.column_config.NumberColumn(format="%.2f")
    when = st.column_config.DatetimeColumn("newest score (UTC)", format="YYYY-MM-DD HH:mm")
    look = {"score": number, "threshold": number, "time": when}
    st.dataframe(pl.DataFrame(table, schema=_OTHERS), hide_index=True, column_config=look)


def _all_alarms(store: Store, alarms: pl.DataFrame) -> None:
    covered = data.covered(store)
    if covered is None:
        return
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.subheader(f"Alarms, {text.span(*covered)}")
        links.to_alarms("All alarms")
    if alarms.is_empty():
        st.caption("No alarms so far.")
        return
    chart = timeline(alarms, data.read(store, "labels"), covered)
    st.altair_chart(chart, theme=None, alt="When alarms were open, one row an asset")
    newest = alarms.sort("opened", descending=True).head(_NEWEST)
    table = journal(newest, data.read(store, "alarm_labels"))
    st.dataframe(table, hide_index=True, column_config=JOURNAL, column_order=_COLUMNS)
