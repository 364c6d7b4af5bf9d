"""Numbers that judge anomaly scores and alarms.

There is no point adjustment here and there will be none: it credits a whole anomaly for one hit,
and random scores then reach an F1 above 0.9. Report a random score beside every number.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score

from sensorssm.evaluation.affiliation import Affiliation, affiliation
from sensorssm.evaluation.events import (
    AlarmCost,
    EventCounts,
    alarm_cost,
    detection_delays,
    event_counts,
    false_alarms_per_week,
    forewarning_times,
    share,
)
from sensorssm.evaluation.intervals import as_flags, as_scores, intervals_of, same_rows
from sensorssm.evaluation.nab import PROFILES, nab_score
from sensorssm.evaluation.vus import Volumes, volume_under_surface

__all__ = [
    "PROFILES",
    "Affiliation",
    "AlarmCost",
    "EventCounts",
    "RowRates",
    "Volumes",
    "affiliation",
    "alarm_cost",
    "average_precision",
    "detection_delays",
    "event_counts",
    "false_alarms_per_week",
    "forewarning_times",
    "intervals_of",
    "nab_score",
    "row_rates",
    "volume_under_surface",
]


class RowRates(NamedTuple):
    """Alarms row by row; the rates are shares in [0, 1], NaN over no rows."""

    f1: float
    false_alarm_rate: float
    missed_alarm_rate: float


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the precision-recall curve (AUC-PR), by its steps.

    `labels` (n,) are 0/1, `scores` (n,) larger = more anomalous; NaN where no row is labelled.

    Raises
    ------
    ShapeError, DataError : sizes that differ; labels other than 0 and 1, scores that are not finite
    """
    truth, values = as_flags(labels, "labels"), as_scores(scores)
    same_rows(truth, values, "scores")
    return float(average_precision_score(truth, values)) if truth.any() else float("nan")


def row_rates(labels: ArrayLike, alarms: ArrayLike) -> RowRates:
    """Return F1, false and missed alarm rate of 0/1 `alarms` (n,) for 0/1 `labels` (n,).

    Raises
    ------
    ShapeError, DataError : sizes that differ; values other than 0 and 1
    """
    truth, alarm = as_flags(labels, "labels"), as_flags(alarms, "alarms")
    same_rows(truth, alarm, "alarms")
    hit, false = int((truth & alarm).sum()), int((~truth & alarm).sum())
    missed, quiet = int((truth & ~alarm).sum()), int((~truth & ~alarm).sum())
    return RowRates(
        share(2 * hit, 2 * hit + false + missed),
        share(false, false + quiet),
        share(missed, missed + hit),
    )
