"""What waits for a person, when alarms came, and the journal of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import data, health, links, live, palette, text
from sensorssm_dashboard.charts.alarms import timeline
from sensorssm_dashboard.choose import around
from sensorssm_dashboard.journal import JOURNAL, journal
from sensorssm_pipelines.store import Store

_WHO: Final = "who-acknowledged-last"
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
    _journal(alarms)


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
            _acknowledge(store, alarm)
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


def _acknowledge(store: Store, alarm: Mapping[str, Any]) -> None:
    """Offer the form that says who has seen the alarm and why it may rest."""
    key = f"seen-{alarm['id']}"
    with (
        st.popover("Acknowledge", icon=":material/task_alt:", key=f"open-{key}"),
        st.form(key, border=False),
    ):
        last: str = st.session_state.get(_WHO, "")
        who = st.text_input("Who", last, key=f"who-{key}", max_chars=80, autocomplete="name")
        why = st.text_input("Why, or what you did", key=f"why-{key}", max_chars=400)
        if not st.form_submit_button("Acknowledge", type="primary"):
            return
        if not who.strip() or not why.strip():
            st.error("Both are needed: who has seen it, and why it may rest.")
            return
    # A second click finds the alarm acknowledged already: the first one's name stays.
    st.session_state[_WHO] = who.strip()
    Store(store.path).acknowledge(alarm["id"], who.strip(), why.strip())
    st.rerun()


def _journal(alarms: pl.DataFrame) -> None:
    st.subheader("Journal")
    st.dataframe(journal(alarms), hide_index=True, column_config=JOURNAL)
