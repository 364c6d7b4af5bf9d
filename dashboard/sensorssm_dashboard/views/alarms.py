"""What waits for a person, when alarms came, and the journal of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import data, health, links, live, palette, say, text
from sensorssm_dashboard.charts.alarms import timeline
from sensorssm_dashboard.choose import around
from sensorssm_dashboard.journal import JOURNAL, journal
from sensorssm_dashboard.shelf import shelf
from sensorssm_pipelines.alarms import alarm_load
from sensorssm_pipelines.store import SHELVED, Store

_ROWS: Final = 20  # alarms with a button of their own; in a flood the rest stand in the journal


def page(store: Store) -> None:
    """Draw the alarms: counts, those to acknowledge, a timeline and the journal."""
    live.show(store, _body)


def _body(store: Store) -> None:
    st.title("Alarms")
    alarms = data.read(store, "alarms")
    if alarms.is_empty():
        scored = not data.read(store, "latest").is_empty()
        st.info(
            "No alarms so far." if scored else "No scores, so no alarms. Run `sensorssm score`.",
            icon=":material/notifications_none:",
        )
        return
    _counts(alarms)
    _timeline(store, alarms)
    _to_acknowledge(store, health.waiting(alarms))
    shelf(store)
    _load(store, alarms.filter(pl.col("state").ne_missing(SHELVED)))
    _journal(store, alarms)


def _counts(alarms: pl.DataFrame) -> None:
    with st.container(horizontal=True):
        for state, look in palette.STATES.items():
            count = alarms.filter(state=state).height
            st.metric(f"{look.icon} {look.word}", f"{count:,}", border=True)
        st.metric("To acknowledge", f"{health.waiting(alarms).height:,}", border=True)


def _timeline(store: Store, alarms: pl.DataFrame) -> None:
    covered = data.covered(store)
    if covered is not None:
        chart = timeline(alarms, data.read(store, "labels"), covered)
        st.altair_chart(chart, theme=None, alt="When alarms were open, one row an asset")


def _to_acknowledge(store: Store, alarms: pl.DataFrame) -> None:
    st.subheader("To acknowledge")
    if alarms.is_empty():
        st.caption(":material/task_alt: Every alarm has been acknowledged.")
        return
    for alarm in alarms.head(_ROWS).iter_rows(named=True):
        with st.container(
            border=True,
            horizontal=True,
            wrap=False,
            vertical_alignment="center",
            key=f"tile-{alarm['id']}",
        ):
            _alarm(alarm)
            say.acknowledge(store, alarm)
    if alarms.height > _ROWS:
        st.caption(f"And {text.plural(alarms.height - _ROWS, 'alarm')} more in the journal below.")


def _alarm(alarm: Mapping[str, Any]) -> None:
    level = palette.priority(alarm["priority"])
    state = palette.STATES.get(alarm["state"], palette.STATES["CLEARED"])
    with st.container(width=120, gap="xxsmall"):
        st.badge(level.word, icon=level.icon, color=level.badge)  # pyright: ignore[reportArgumentType]
        st.badge(state.word, icon=state.icon, color=state.badge)  # pyright: ignore[reportArgumentType]
    ended = alarm["cleared"]
    span, until = around(alarm["opened"], ended)
    with st.container(width=90):
        links.to_asset(alarm["asset"], alarm["asset"], span=span, until=until)
    lasted = "still open" if ended is None else f"lasted {text.duration(ended - alarm['opened'])}"
    what, stop, advice = (alarm["message"] or alarm["rule"] or "No message").partition(". ")
    st.markdown(
        f"**{text.plain(what)}**{stop}{text.plain(advice)}  \n"
        f":gray[{text.instant(alarm['opened'])} · {lasted} · first tag "
        f"{text.plain(alarm['first_tag'] or 'unknown')} · peak {text.number(alarm['peak_score'])}]",
        width="stretch",
    )


def _load(store: Store, alarms: pl.DataFrame) -> None:
    """Draw how many alarms people have to bear, in the words of ISA-18.2."""
    covered = data.covered(store)
    if covered is None:
        return
    load = alarm_load(alarms, *covered)
    worst = text.plain(load.worst or "none")
    st.subheader("Load on people")
    with st.container(horizontal=True):
        for name, value, meaning in (
            ("Alarms a day", text.number(load.per_day), "opened, over all assets"),
            ("Most in 10 min", f"{load.most:,}", "opened; more than 10 nobody can read"),
            ("Time in flood", text.percent(load.flood), "ten minutes with more than 10 alarms"),
            ("Longer than a day", f"{load.standing:,}", "stood so long, or still do"),
            ("Back within an hour", f"{load.repeats:,}", "of the last one of the same asset"),
        ):
            st.metric(name, value, border=True, help=meaning)
    st.caption(
        f"{text.span(*covered)}. Most alarms came from {worst}: {text.percent(load.worst_share)}."
    )


def _journal(store: Store, alarms: pl.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Journal")
        say.label(store, alarms)
    table = journal(alarms, data.read(store, "alarm_labels"))
    st.dataframe(table, hide_index=True, column_config=JOURNAL)
