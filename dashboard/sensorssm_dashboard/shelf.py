"""Alarms on a shelf: the form that puts an asset's there for a while, and what is on it now."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl
import streamlit as st

from sensorssm_dashboard import data, say, text
from sensorssm_pipelines.store import Store

#: No longer: a shelf that nobody remembers hides the next fault.
LENGTHS: Final = {
    "1 h": timedelta(hours=1),
    "8 h, a shift": timedelta(hours=8),
    "24 h": timedelta(days=1),
    "7 d": timedelta(days=7),
}


def shelf(store: Store) -> None:
    """Offer to shelve an asset's alarms, and list the shelves that have not ended."""
    _form(store)
    latest = data.read(store, "latest").select("asset", now="time")
    shelves = data.read(store, "shelves").join(latest, on="asset", how="left")
    for row in shelves.filter(pl.col("ended") > pl.col("now")).iter_rows(named=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                f":material/snooze: {text.plain(row['asset'])} is shelved until "
                f"{text.instant(row['ended'])} by {text.plain(row['who'])}: "
                f"{text.plain(row['why'])}"
            )
            if st.button("Take back", key=f"unshelve-{row['asset']}"):
                Store(store.path).unshelve(row["asset"])
                st.rerun()


def _form(store: Store) -> None:
    newest = dict(data.read(store, "latest").select("asset", "time").iter_rows())
    with (
        st.popover("Shelve alarms", icon=":material/snooze:", key="open-shelve"),
        st.form("shelve", border=False),
    ):
        asset = st.selectbox("Asset", list(newest), key="asset-shelve")
        length = st.radio(
            "For",
            list(LENGTHS),
            horizontal=True,
            key="for-shelve",
            help="Alarms are recorded meanwhile, but nobody is told; then they return.",
        )
        who, why = say.who_and_why("shelve")
        if st.form_submit_button("Shelve", type="primary") and say.is_signed(who, why):
            Store(store.path).shelve(str(asset), newest[asset] + LENGTHS[length], who, why)
            st.rerun()
