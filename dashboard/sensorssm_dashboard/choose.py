"""Widgets that choose what a page shows; their values live in the URL, so a view can be shared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import text
from sensorssm_dashboard.charts.style import Span

_JUMP: Final = "jump"
SPANS: Final = {
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "3 d": timedelta(days=3),
    "7 d": timedelta(days=7),
    "28 d": timedelta(days=28),
    "all": None,
}


def choose_asset(assets: list[str]) -> str:
    """Return the chosen asset."""
    return st.selectbox("Asset", assets, key="asset", bind="query-params", filter_mode="contains")


def warn_of_unknown_asset(assets: list[str]) -> None:
    """Say so when the URL names an asset that the store does not have."""
    asked = st.query_params.get("asset")
    if asked is not None and asked not in assets:
        st.warning(
            f"No asset {text.plain(repr(asked))} in this store. "
            f"Showing {text.plain(assets[0])} instead.",
            icon=":material/search_off:",
        )


def choose_length(default: str = "7 d") -> str:
    """Return the chosen length of the time axis, a key of `SPANS`."""
    chosen = st.segmented_control(
        "Span", list(SPANS), default=default, key="span", bind="query-params", required=True
    )
    return chosen or default


def choose_end(covered: Span) -> datetime:
    """Return the right end of the time axis: the newest reading unless a time is chosen."""
    chosen = st.datetime_input(
        "Until (UTC)", None, min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1),
        key="until", bind="query-params", format="YYYY-MM-DD", step=60,
        help="Empty: up to the newest reading.",
    )  # fmt: skip
    newest = _next_minute(covered[1])
    if chosen is None:
        return newest
    return min(max(chosen.replace(tzinfo=UTC), _next_minute(covered[0])), newest)


def go_to_alarm(alarms: pl.DataFrame) -> None:
    """Offer the asset's alarms, the newest first; choosing one moves the time axis to it."""
    rows = alarms.sort("opened", descending=True).to_dicts()
    st.selectbox(
        "Go to alarm", rows, index=None, key=_JUMP, on_change=_go, disabled=not rows,
        format_func=lambda a: f"{text.instant(a['opened'])} · {a['first_tag'] or 'unknown tag'}",
        placeholder="choose one" if rows else "no alarms",
    )  # fmt: skip


def _go() -> None:
    alarm = st.session_state[_JUMP]
    if alarm is None:
        return
    length, end = around(alarm["opened"], alarm["cleared"])
    st.session_state["span"], st.session_state["until"] = length, end.replace(tzinfo=None)
    st.session_state[_JUMP] = None


def around(opened: datetime, cleared: datetime | None) -> tuple[str, datetime]:
    """Return a span and an end that show an alarm whole, with what led to it."""
    lasted = (cleared or opened) - opened
    length = next(
        (name for name, width in SPANS.items() if width is not None and width >= 3 * lasted), "28 d"
    )
    width = SPANS[length] or lasted
    return length, _next_minute(opened + lasted + (width - lasted) / 3)


def choose_instant(scores: pl.DataFrame) -> datetime:
    """Return an instant of `scores` (time, score): that of the largest, or the last one up to the
    time that is chosen."""
    chosen = st.datetime_input(
        "At (UTC)", None, min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1),
        key="at", bind="query-params", format="YYYY-MM-DD", step=60,
        help="Empty: where the score of the span is largest.",
    )  # fmt: skip
    times = scores["time"]
    if chosen is None:
        return times[scores["score"].arg_max() or 0]
    last = int((times < _next_minute(chosen.replace(tzinfo=UTC))).sum())
    return times[max(last - 1, 0)]


def span_of(length: str, end: datetime, covered: Span) -> Span:
    """Return the time axis: `length` up to `end`, as far as there is something to show."""
    width = SPANS[length]
    if width is None:
        return covered[0], max(_next_minute(covered[1]), covered[0] + timedelta(minutes=1))
    return max(end - width, covered[0]), end


def _next_minute(time: datetime) -> datetime:
    """Return the start of the next minute: intervals are half open, the last reading counts."""
    return time.replace(second=0, microsecond=0) + timedelta(minutes=1)
