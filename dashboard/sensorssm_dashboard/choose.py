"""Widgets that choose what a page shows; their values live in the URL, so a view can be shared."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import streamlit as st

from sensorssm_dashboard import text
from sensorssm_dashboard.charts.style import Span

SPANS: Final = {
    "6 h": timedelta(hours=6),
    "24 h": timedelta(hours=24),
    "3 d": timedelta(days=3),
    "7 d": timedelta(days=7),
    "28 d": timedelta(days=28),
    "all": None,
}


def choose_asset(assets: list[str]) -> str:
    """Return the chosen asset; a URL that names an unknown one is answered in words."""
    asked = st.query_params.get("asset")
    if asked is not None and asked not in assets:
        st.warning(
            f"No asset {text.plain(repr(asked))} in this store. "
            f"Showing {text.plain(assets[0])} instead.",
            icon=":material/search_off:",
        )
    return st.selectbox("Asset", assets, key="asset", bind="query-params", filter_mode="contains")


def choose_length(default: str = "7 d") -> str:
    """Return the chosen length of the time axis, a key of `SPANS`."""
    chosen = st.segmented_control(
        "Span", list(SPANS), default=default, key="span", bind="query-params", required=True
    )
    return chosen or default


def choose_end(covered: Span) -> datetime:
    """Return the right end of the time axis: a minute within what is covered, at first its end."""
    low, high = covered[0].replace(tzinfo=None), _next_minute(covered[1]).replace(tzinfo=None)
    chosen = st.datetime_input(
        "Until (UTC)", high, min_value=low, max_value=high, key="until", bind="query-params",
        format="YYYY-MM-DD",
    )  # fmt: skip
    return (chosen or high).replace(tzinfo=covered[1].tzinfo)


def span_of(length: str, end: datetime, covered: Span) -> Span:
    """Return the time axis: `length` up to `end`, or all that is covered."""
    width = SPANS[length]
    if width is None:
        return covered[0], max(_next_minute(covered[1]), covered[0] + timedelta(minutes=1))
    return end - width, end


def _next_minute(time: datetime) -> datetime:
    """Return the start of the following minute: intervals are half open, the last reading counts."""
    return time.replace(second=0, microsecond=0) + timedelta(minutes=1)
