"""What an anomaly score finds at a stated share of false alarms, and how soon.

The level is the one that this share of the judged normal rows passes, so the values say what the
scores could do, and not what a plant would have seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sensorssm.errors import ConfigError
from sensorssm.evaluation.intervals import as_flags, as_scores, intervals_of, same_rows


def level_of_normal(labels: ArrayLike, scores: ArrayLike, *, false_alarms: float) -> float:
    """Return the score that a share `false_alarms` of the normal rows passes; NaN without any.

    `labels` (n,) are 0/1, `scores` (n,) larger = more anomalous.

    Raises
    ------
    ShapeError, DataError : sizes that differ; labels other than 0 and 1, scores that are not finite
    ConfigError : a share that is not between 0 and 1
    """
    truth, values = as_flags(labels, "labels"), as_scores(scores)
    same_rows(truth, values, "scores")
    if not 0.0 < false_alarms < 1.0:
        raise ConfigError(f"false_alarms is {false_alarms!r}, wanted a share between 0 and 1")
    normal = values[~truth]
    return float(np.quantile(normal, 1.0 - false_alarms)) if len(normal) else float("nan")


def rows_until_found(labels: ArrayLike, alarms: ArrayLike, *, steady: int = 3) -> float:
    """Return the mean over anomalies of the rows from its start to `steady` alarm rows in a row.

    An anomaly in which there are none counts with its whole length; NaN where nothing is labelled.
    The rows are those before the first of the alarm rows.

    Raises
    ------
    ShapeError, DataError : sizes that differ; values other than 0 and 1
    """
    truth, alarm = as_flags(labels, "labels"), as_flags(alarms, "alarms")
    same_rows(truth, alarm, "alarms")
    waits = [_first_run(alarm[start:end], steady) for start, end in intervals_of(truth)]
    return float(np.mean(waits)) if waits else float("nan")


def batadal_score(labels: ArrayLike, alarms: ArrayLike) -> float:
    """Return the score S of the battle of the attack detection algorithms, in [0, 1].

    Half of it is the mean share of each attack that is left when it is first seen, half the mean
    of the shares of attacked and of normal rows told right; NaN without rows of both kinds.

    Raises
    ------
    ShapeError, DataError : sizes that differ; values other than 0 and 1

    References
    ----------
    Taormina et al. 2018, "Battle of the Attack Detection Algorithms", J. Water Resour. Plann.
    Manage. 144(8), equations (1) to (4).
    """
    truth, alarm = as_flags(labels, "labels"), as_flags(alarms, "alarms")
    same_rows(truth, alarm, "alarms")
    if truth.all() or not truth.any():
        return float("nan")
    left = [1.0 - _first_run(alarm[a:b], 1) / (b - a) for a, b in intervals_of(truth)]
    told_right = (alarm[truth].mean() + (~alarm[~truth]).mean()) / 2.0
    return float(0.5 * np.mean(left) + 0.5 * told_right)


def _first_run(alarm: np.ndarray, steady: int) -> int:
    """Return the row where the first `steady` alarms in a row begin; the length where none do."""
    if len(alarm) < steady:
        return len(alarm)
    runs = np.lib.stride_tricks.sliding_window_view(alarm, steady).all(axis=1)
    return int(runs.argmax()) if runs.any() else len(alarm)
