"""Intervals from rows: when an anomaly starts and ends, and which tags it was."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

OPENING = 5  # rows of an event, or its first quarter, that say who moved first
TOP = 3  # tags named


@dataclass(frozen=True)
class Event:
    """Rows [started, ended) that belong together; `peak` is the largest score's row."""

    started: int
    ended: int
    peak: int
    first_tag: int
    tags: tuple[int, ...]


def find_events(
    above: BoolArray, starts: NDArray[np.int64], *, on_delay: int = 1, off_delay: int = 1
) -> NDArray[np.int64]:
    """Return the (k, 2) half-open row intervals of alarms.

    An alarm opens with `on_delay` rows in a row above and closes after `off_delay` rows without
    one; it lasts from its first row above to the row after its last. Assets do not run into each
    other: `starts` are their first rows.
    """
    edges = [*starts, len(above)]
    found = [
        _in_asset(above[first:end], on_delay, off_delay) + first
        for first, end in itertools.pairwise(edges)
    ]
    return np.concatenate(found) if found else np.empty((0, 2), dtype=np.int64)


def _in_asset(above: BoolArray, on_delay: int, off_delay: int) -> NDArray[np.int64]:
    change = np.diff(np.r_[False, above, False].astype(np.int8))
    runs = np.column_stack([np.flatnonzero(change == 1), np.flatnonzero(change == -1)])
    if len(runs) == 0:
        return runs
    apart = runs[1:, 0] - runs[:-1, 1] >= off_delay
    label = np.r_[0, np.cumsum(apart)]
    opened = np.zeros(label[-1] + 1, dtype=bool)
    opened[label[runs[:, 1] - runs[:, 0] >= on_delay]] = True
    first = runs[np.r_[True, apart], 0]
    last = runs[np.r_[apart, True], 1]
    return np.column_stack([first, last])[opened]


def describe_events(
    intervals: NDArray[np.int64], scores: FloatArray, shares: FloatArray
) -> list[Event]:
    """Return each interval with its peak, the tag that moved first and the most blamed tags."""
    return [_describe(int(a), int(b), scores, shares) for a, b in intervals]


def _describe(started: int, ended: int, scores: FloatArray, shares: FloatArray) -> Event:
    inside = slice(started, ended)
    weight = np.nan_to_num(scores[inside])[:, None]
    blame = (weight * shares[inside]).sum(axis=0)
    opening = slice(started, min(started + max(OPENING, (ended - started) // 4), ended))
    first = (np.nan_to_num(scores[opening])[:, None] * shares[opening]).sum(axis=0)
    return Event(
        started=started,
        ended=ended,
        peak=started + int(np.nanargmax(scores[inside])),
        first_tag=int(np.argmax(first)),
        tags=tuple(int(i) for i in np.argsort(-blame, kind="stable")[:TOP] if blame[i] > 0),
    )
