"""Numbers that judge anomaly scores and alarms.

There is no point adjustment here and there will be none: it credits a whole anomaly for one hit,
and random scores then reach an F1 above 0.9. Report a random score beside every number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score

from sensorssm.errors import ConfigError, ShapeError
from sensorssm.evaluation.affiliation import Affiliation, affiliation
from sensorssm.evaluation.nab import PROFILES, nab_score
from sensorssm.evaluation.vus import Volumes, checked, intervals_of, volume_under_surface

__all__ = [
    "PROFILES",
    "Affiliation",
    "EventCounts",
    "RowRates",
    "Volumes",
    "affiliation",
    "average_precision",
    "detection_delays",
    "event_counts",
    "false_alarms_per_week",
    "intervals_of",
    "nab_score",
    "row_rates",
    "volume_under_surface",
]

WEEK_S = 7 * 24 * 3600.0

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class RowRates(NamedTuple):
    """Alarms row by row; the rates are shares in [0, 1]."""

    f1: float
    false_alarm_rate: float
    missed_alarm_rate: float


class EventCounts(NamedTuple):
    """Alarms event by event: an alarm is true, an anomaly found, where they overlap."""

    precision: float
    recall: float
    f1: float
    found: int
    missed: int
    false_alarms: int


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the precision-recall curve (AUC-PR), by its steps."""
    truth, values = checked(labels, scores)
    return float(average_precision_score(truth, values))


def row_rates(labels: ArrayLike, alarms: ArrayLike) -> RowRates:
    """Return F1, false and missed alarm rate of 0/1 `alarms` (n,) for 0/1 `labels` (n,)."""
    truth, alarm = np.asarray(labels) > 0, np.asarray(alarms) > 0
    if truth.shape != alarm.shape:
        raise ShapeError(f"labels {truth.shape} and alarms {alarm.shape}, wanted the same")
    hit, false = (truth & alarm).sum(), (~truth & alarm).sum()
    missed, quiet = (truth & ~alarm).sum(), (~truth & ~alarm).sum()
    return RowRates(
        _share(2 * hit, 2 * hit + false + missed),
        _share(false, false + quiet),
        _share(missed, missed + hit),
    )


def event_counts(events: ArrayLike, alarms: ArrayLike, *, tolerance: float = 0) -> EventCounts:
    """Return how well alarm intervals meet anomaly intervals.

    Parameters
    ----------
    events, alarms : (k, 2) and (m, 2) half-open intervals, in rows or any one unit of time
    tolerance : how long after an anomaly's end an alarm may start and still count
    """
    truth, called = _intervals(events, "events"), _intervals(alarms, "alarms")
    meets = _overlap(truth, called, tolerance)
    found, true = int(meets.any(axis=1).sum()), int(meets.any(axis=0).sum())
    precision, recall = _share(true, len(called)), _share(found, len(truth))
    total = precision + recall
    return EventCounts(
        precision,
        recall,
        2 * precision * recall / total if total > 0 else 0.0,
        found,
        len(truth) - found,
        len(called) - true,
    )


def detection_delays(events: ArrayLike, alarms: ArrayLike, *, tolerance: float = 0) -> FloatArray:
    """Return, (k,), how long after each anomaly's start it was found; NaN where it was not.

    In the intervals' unit; 0 where an alarm was already open.
    """
    truth, called = _intervals(events, "events"), _intervals(alarms, "alarms")
    late = np.maximum(called[None, :, 0] - truth[:, None, 0], 0.0)
    late = np.where(_overlap(truth, called, tolerance), late, np.inf)
    first = late.min(axis=1, initial=np.inf)
    return np.where(np.isfinite(first), first, np.nan)


def false_alarms_per_week(
    events: ArrayLike,
    alarms: ArrayLike,
    *,
    rows: int,
    period_s: float,
    tolerance: float = 0,
) -> float:
    """Return false alarms an asset and week of normal operation; intervals are in rows.

    `rows` are the judged rows, of all assets together, of `period_s` seconds each; the anomalies
    and the `tolerance` rows after each do not count as normal.
    """
    truth = _intervals(events, "events")
    normal = rows - float((truth[:, 1] - truth[:, 0] + tolerance).sum())
    if normal <= 0.0 or period_s <= 0.0:
        raise ConfigError(f"{normal:g} normal rows of {period_s:g} s, wanted more than 0 of each")
    false = event_counts(events, alarms, tolerance=tolerance).false_alarms
    return false / (normal * period_s / WEEK_S)


def _intervals(given: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(given, dtype=np.float64).reshape(-1, 2) if np.size(given) else None
    if array is None:
        return np.empty((0, 2))
    if (array[:, 1] <= array[:, 0]).any():
        raise ShapeError(
            f"{name} holds an interval that ends before it starts, wanted [start, end)"
        )
    return array


def _overlap(truth: FloatArray, called: FloatArray, tolerance: float) -> NDArray[np.bool_]:
    """Return (k, m) flags: alarm m and anomaly k share a moment."""
    return (called[None, :, 0] < truth[:, None, 1] + tolerance) & (
        called[None, :, 1] > truth[:, None, 0]
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0
