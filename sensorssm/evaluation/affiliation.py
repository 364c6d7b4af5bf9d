"""Affiliation precision and recall: how near alarms and anomalies are, against chance.

Each anomaly owns the rows nearer to it than to the others. Within them, an alarm is as good as it
is unlikely that a random row lies nearer to the anomaly; an anomaly is as well covered as it is
unlikely that a random alarm lies nearer. Random alarms get about 0.7: never report this alone.

References
----------
Huet, Navarro and Rossi 2022, "Local Evaluation of Time Series Anomaly Detection", KDD.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.evaluation.intervals import as_flags, intervals_of, same_rows

FloatArray = NDArray[np.float64]
Span = tuple[float, float]

NODES = (np.arange(4) + 0.5) / 4  # a row is the unit interval [t, t + 1); midpoint rule in it


class Affiliation(NamedTuple):
    """Each in [0, 1]; NaN where nothing is labelled."""

    precision: float
    recall: float
    f1: float


def affiliation(labels: ArrayLike, alarms: ArrayLike) -> Affiliation:
    """Return the affiliation measures of 0/1 `alarms` (n,) for 0/1 `labels` (n,).

    Raises
    ------
    ShapeError, DataError : sizes that differ; values other than 0 and 1
    """
    truth, alarm = as_flags(labels, "labels"), as_flags(alarms, "alarms")
    same_rows(truth, alarm, "alarms")
    events = intervals_of(truth).astype(np.float64)
    if len(events) == 0:
        return Affiliation(float("nan"), float("nan"), float("nan"))
    called = intervals_of(alarm).astype(np.float64)
    middle = (events[:-1, 1] + events[1:, 0]) / 2
    zones = zip(np.r_[0.0, middle], np.r_[middle, float(len(truth))], strict=True)
    precisions, recalls = [], []
    for event, zone in zip(events, zones, strict=True):
        inside = np.clip(called, *zone)
        inside = inside[inside[:, 1] > inside[:, 0]]
        if len(inside):
            precisions.append(_precision(inside, tuple(event), zone))
        recalls.append(_recall(inside, tuple(event), zone) if len(inside) else 0.0)
    precision = float(np.mean(precisions)) if precisions else 0.0
    recall = float(np.mean(recalls))
    total = precision + recall
    return Affiliation(precision, recall, 2 * precision * recall / total if total else 0.0)


def _nodes(start: float, end: float) -> FloatArray:
    """Return quadrature nodes in [start, end), four to a row."""
    rows = max(int(np.ceil(end - start)), 1)
    return start + (end - start) * ((np.arange(rows)[:, None] + NODES) / rows).ravel()


def _precision(inside: FloatArray, event: Span, zone: Span) -> float:
    """Return the mean chance, over alarms, that a random row is farther from the event."""
    begin, end = event
    total = 0.0
    for start, stop in inside:
        at = _nodes(start, stop)
        far = np.maximum(np.maximum(begin - at, at - end), 0.0)
        room = np.maximum(begin - zone[0] - far, 0.0) + np.maximum(zone[1] - end - far, 0.0)
        chance = np.where(far > 0.0, room / (zone[1] - zone[0]), 1.0)
        total += float(chance.mean()) * (stop - start)
    return total / float((inside[:, 1] - inside[:, 0]).sum())


def _recall(inside: FloatArray, event: Span, zone: Span) -> float:
    """Return the mean chance, over the event, that a random alarm is farther than the nearest."""
    at = _nodes(*event)
    begun = np.searchsorted(inside[:, 0], at, side="right")  # alarms come sorted and apart
    since = at - np.r_[-np.inf, inside[:, 1]][begun]
    until = np.r_[inside[:, 0], np.inf][begun] - at
    far = np.maximum(np.minimum(since, until), 0.0)
    reach = np.minimum(at + far, zone[1]) - np.maximum(at - far, zone[0])
    return float(np.where(far > 0.0, 1.0 - reach / (zone[1] - zone[0]), 1.0).mean())
