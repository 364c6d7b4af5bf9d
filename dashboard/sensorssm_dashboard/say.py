"""The forms in which people say what they know of an alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import text
from sensorssm_pipelines.store import KINDS, Store

_WHO: Final = "who-acknowledged-last"
_NOT_YET: Final = "not known yet"
_MOST: Final = 200  # alarms to choose from


def word(kind: str | None) -> str:
    """Return what an alarm was, as people say it."""
    return (kind or text.DASH).replace("_", " ")


def acknowledge(store: Store, alarm: Mapping[str, Any]) -> None:
    """Offer the form that says who has seen an alarm, why it may rest, and what it was."""
    key = f"seen-{alarm['id']}"
    with (
        st.popover("Acknowledge", icon=":material/task_alt:", key=f"open-{key}"),
        st.form(key, border=False),
    ):
        said = _who_and_what(key, "Acknowledge", (_NOT_YET, *KINDS))
    if said is not None:
        _write(store, alarm["id"], *said)


def label(store: Store, alarms: pl.DataFrame) -> None:
    """Offer the form that says what an alarm was that somebody has seen; the last word counts."""
    seen = alarms.filter(pl.col("acknowledged").is_not_null()).sort("opened", descending=True)
    if seen.is_empty():
        return
    rows = {row["id"]: row for row in seen.head(_MOST).iter_rows(named=True)}
    with (
        st.popover("Say what an alarm was", icon=":material/sell:", key="open-label"),
        st.form("label", border=False),
    ):
        chosen = st.selectbox("Alarm", list(rows), format_func=lambda one: _name(rows[one]))
        said = _who_and_what("label", "Save", KINDS)
    if said is not None and chosen is not None:
        _write(store, chosen, *said)


def _name(alarm: Mapping[str, Any]) -> str:
    return f"{alarm['asset']}, {text.instant(alarm['opened'])}, {alarm['first_tag'] or 'unknown'}"


def _who_and_what(key: str, button: str, kinds: tuple[str, ...]) -> tuple[str, str, str] | None:
    """Return kind, who and why once they are given and sent."""
    who, why = who_and_why(key)
    kind = st.radio(
        "It was",
        kinds,
        format_func=word,
        horizontal=True,
        key=f"kind-{key}",
        help="False alarms raise the threshold when the job scores again, but never past a fault.",
    )
    if not st.form_submit_button(button, type="primary"):
        return None
    return (kind, who, why) if is_signed(who, why) else None


def who_and_why(key: str) -> tuple[str, str]:
    """Ask for a name, at first the last one given here, and for a reason."""
    last: str = st.session_state.get(_WHO, "")
    who = st.text_input("Who", last, key=f"who-{key}", max_chars=80, autocomplete="name")
    why = st.text_input("Why, or what you did", key=f"why-{key}", max_chars=400)
    return who.strip(), why.strip()


def is_signed(who: str, why: str) -> bool:
    """Return whether both were given, and say so where not; the name is remembered."""
    if not who or not why:
        st.error("Both are needed: who has seen it, and why it may rest.")
        return False
    st.session_state[_WHO] = who
    return True


def _write(store: Store, alarm: str, kind: str, who: str, why: str) -> None:
    """Write what was said; a second click finds it said already, and the first name stays."""
    writable = Store(store.path)
    if kind == _NOT_YET:
        writable.acknowledge(alarm, who, why)
    else:
        writable.label_alarm(alarm, kind, who, why)
    st.rerun()
