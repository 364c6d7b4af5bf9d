"""A detector's events as the columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.frames import Window
from sensorssm.scoring import Cell, Event

FloatArray = NDArray[np.float64]


def event_columns(
    events: Sequence[Event], window: Window, scores: FloatArray, tags: tuple[str, ...], cell: Cell
) -> dict[str, NDArray[Any]]:
    """Return the columns that `SSMDetector.events` describes, an event a row."""
    started = np.array([event.started for event in events], dtype=np.int64)
    last = np.array([event.ended - 1 for event in events], dtype=np.int64)
    peak = scores[np.array([event.peak for event in events], dtype=np.int64)]
    if window.time is not None:
        step = np.int64(round((window.period_s or 0.0) * 1e9))
        begin = window.time[started].astype("datetime64[ns]")
        end = (window.time[last] + step).astype("datetime64[ns]")
    else:
        begin, end = started, last + 1
    names = np.array(window.groups, dtype=str)
    return {
        "asset": names[window.group[started]],
        "started": begin,
        "ended": end,
        "peak": peak,
        "p_value": 10.0**-peak,
        "first_tag": np.array([tags[event.first_tag] for event in events], dtype=str),
        "tags": _joined([event.tags for event in events], tags),
        "new_tags": _joined([_new_tags(event, window.values, cell) for event in events], tags),
    }


def _new_tags(event: Event, values: FloatArray, cell: Cell) -> NDArray[np.int64]:
    """Return the numbers of the tags that move in an event and never did in training."""
    away = np.abs(values[event.started : event.ended] - cell.center)
    moved = (away > 1e-6 * (np.abs(cell.center) + 1.0)).any(axis=0)  # NaN has not moved
    return np.flatnonzero(moved & (cell.fixed > 0))


def _joined(numbers: Sequence[Sequence[int] | NDArray[np.int64]], tags: tuple[str, ...]) -> Any:
    return np.array([", ".join(tags[i] for i in some) for some in numbers], dtype=str)
