"""The dashboard's entry: ``streamlit run app.py -- --store DIR``, or the variable SENSORSSM_STORE.

Pages read the store and write acknowledgements; no model is ever loaded here.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from sensorssm_dashboard import live
from sensorssm_dashboard.theme import CSS, MARK, wordmark
from sensorssm_dashboard.views import alarms, asset, models, overview, quality, runs
from sensorssm_pipelines.store import Store

_DEFAULT = "runs/demo"


def main() -> None:
    """Open the store and run the chosen page."""
    st.set_page_config(page_title="sensorssm", page_icon=MARK, layout="wide")
    _freeze()
    path = _store_path()
    chosen = st.navigation(_pages(path), position="top")
    st.html(CSS)
    st.logo(wordmark(st.context.theme.type))
    chosen.run()


@st.cache_resource(show_spinner=False)
def _freeze() -> bool:
    """Move what is imported out of the garbage collector's sight, once a process.

    Streamlit collects after every rerun; with Altair and Polars loaded that costs about 70 ms of
    CPU time each, three quarters of a live page's work.
    """
    gc.collect()
    gc.freeze()
    return True


def _store_path() -> Path:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--store", default=os.environ.get("SENSORSSM_STORE", _DEFAULT))
    return Path(parser.parse_known_args(sys.argv[1:])[0].store)


def _pages(path: Path) -> list[st.Page]:
    def on(page: Callable[[Store], None]) -> Callable[[], None]:
        return lambda: live.guarded(lambda: page(Store(path, read_only=True)))

    return [
        st.Page(on(overview.page), title="Overview", default=True),
        st.Page(on(asset.page), title="Asset", url_path="asset"),
        st.Page(on(alarms.page), title="Alarms", url_path="alarms"),
        st.Page(on(quality.page), title="Quality", url_path="quality"),
        st.Page(on(models.page), title="Models", url_path="models"),
        st.Page(on(runs.page), title="Runs", url_path="runs"),
    ]


if __name__ == "__main__":
    main()
