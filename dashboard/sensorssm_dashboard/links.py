"""Links from page to page that carry the asset and the time with them."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from sensorssm_dashboard import text


def to_asset(
    asset: str, label: str, *, span: str | None = None, until: datetime | None = None
) -> None:
    """Draw a link to the asset's page, at the given span and end when they are given."""
    query = {"asset": asset}
    if span is not None:
        query["span"] = span
    if until is not None:
        query["until"] = f"{until:%Y-%m-%dT%H:%M}"
    st.page_link(_page("Asset"), label=text.plain(label), icon="", query_params=query)


def to_alarms(label: str) -> None:
    """Draw a link to the page of alarms."""
    st.page_link(_page("Alarms"), label=label, icon=":material/arrow_forward:")


def _page(title: str) -> st.Page:
    """Return a page of the navigation: Streamlit knows pages by their place in the URL."""
    return st.Page(_nothing, title=title, url_path=title.lower())


def _nothing() -> None:
    """Stand for a page that the navigation runs."""
