"""What every page shares: the banner, the refresh while data are live, errors in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from sensorssm.errors import SensorSSMError
from sensorssm_dashboard import data, text
from sensorssm_dashboard.freshness import Freshness, judge
from sensorssm_pipelines.store import Store

#: Seconds between two drawings: a runtime that stops, or comes back, is seen without a click.
_EVERY_S: Final = {"live": 2.0, "stale": 10.0}
#: Seconds between two looks at whether stored results have changed; a look reads no table.
_LOOK_S: Final = 2.0


def show(store: Store, body: Callable[[Store], None]) -> None:
    """Draw the banner and then `body`, again and again while a process feeds the store.

    A page of stored results is drawn again when they change: a run has ended, or begun.
    """
    drawn = data.stamp(store)
    every = _EVERY_S.get(freshness_of(store).kind)

    def part() -> None:
        guarded(lambda: _draw(store, body))

    def look() -> None:
        if data.stamp(store) != drawn:
            st.rerun()

    st.fragment(part, run_every=every)()
    if every is None:
        st.fragment(look, run_every=_LOOK_S)()


def freshness_of(store: Store) -> Freshness:
    """Return how fresh the store is now."""
    heartbeat, latest = data.read(store, "heartbeat"), data.read(store, "latest")
    return judge(heartbeat, latest, lambda: data.covered(store), data.utc_now())


def guarded(draw: Callable[[], None]) -> None:
    """Run `draw`; a store that cannot be read becomes one line instead of a traceback."""
    try:
        draw()
    except (SensorSSMError, OSError) as error:
        st.error(text.plain(error), icon=":material/database_off:")


def _draw(store: Store, body: Callable[[Store], None]) -> None:
    banner(freshness_of(store))
    body(store)


def banner(fresh: Freshness) -> None:
    """Say first of all whether what follows is live, old or recorded."""
    if fresh.kind == "stale":
        st.error(fresh.message, icon=":material/warning:")
    elif fresh.kind == "replay":
        st.info(fresh.message, icon=":material/history:")
    elif fresh.kind == "live":
        st.caption(f":material/sensors: {fresh.message}")
