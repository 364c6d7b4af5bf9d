"""Volumes under the range-ROC and range-PR surfaces: scores judged without a threshold.

An anomaly's label fades out over a buffer on both sides; the areas are averaged over all buffers
up to `window` rows. The value depends on `window` and on the reading of the definition, so say
which, and never compare across packages: this is TSB-AD's reading.

References
----------
Paparrizos et al. 2022, "Volume Under the Surface", PVLDB 15(11).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError
from sensorssm.evaluation.intervals import as_flags, as_scores, intervals_of, same_rows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

THRESHOLDS = 250


class Volumes(NamedTuple):
    """Volumes under the surfaces, each in [0, 1]."""

    roc: float
    pr: float


def volume_under_surface(
    labels: ArrayLike, scores: ArrayLike, *, window: int, thresholds: int = THRESHOLDS
) -> Volumes:
    """Return VUS-ROC and VUS-PR of `scores` (n,), larger = more anomalous, for 0/1 `labels` (n,).

    NaN where no row is labelled; ROC also where every row is.

    Parameters
    ----------
    window : the widest buffer, in rows; about the length of an anomaly or of a season
    thresholds : how many levels of the scores are tried, 2 or more

    Raises
    ------
    ShapeError, DataError : sizes that differ; labels other than 0 and 1, scores that are not finite
    ConfigError : a window below 0, fewer than 2 thresholds
    """
    if window < 0 or thresholds < 2:
        raise ConfigError(f"window {window} and thresholds {thresholds}, wanted 0 and 2 or more")
    truth, values = as_flags(labels, "labels"), as_scores(scores)
    same_rows(truth, values, "scores")
    events = intervals_of(truth)
    if len(events) == 0:
        return Volumes(float("nan"), float("nan"))
    cut = -np.sort(-values)[np.linspace(0, len(values) - 1, thresholds).astype(int)]
    level = np.searchsorted(-cut, -values, side="left")  # the first threshold a row exceeds
    areas = [_areas(truth, events, level, thresholds, w) for w in range(window + 1)]
    roc, pr = np.mean(areas, axis=0)
    return Volumes(float("nan") if truth.all() else float(roc), float(pr))


def _areas(
    truth: NDArray[np.bool_], events: IntArray, level: IntArray, thresholds: int, window: int
) -> tuple[float, float]:
    """Return the areas under one ROC and one precision-recall curve, for one buffer."""

    def above(
        rows: IntArray | NDArray[np.bool_] | slice, weights: FloatArray | None = None
    ) -> FloatArray:
        """Return the (weighted) count of `rows` above each threshold."""
        count = np.bincount(level[rows], weights, thresholds + 1)[:thresholds]
        return np.cumsum(count.astype(np.float64))

    fringe = _fringe(truth, events, window)
    soft = np.flatnonzero(fringe > 0.0)
    alarms, buffered = above(slice(None)), above(soft, fringe[soft])
    hits = above(truth) + buffered
    positives = truth.sum() + 0.5 * buffered
    recall = np.minimum(hits / positives, 1.0) * _share_found(events, level, thresholds, window)
    false_rate = (alarms - hits) / np.maximum(len(truth) - positives, 1e-12)
    precision = hits / alarms
    x, y = np.r_[0.0, false_rate, 1.0], np.r_[0.0, recall, 1.0]
    roc = float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())
    return roc, float((np.diff(recall, prepend=0.0) * precision).sum())


def _fringe(truth: NDArray[np.bool_], events: IntArray, window: int) -> FloatArray:
    """Return each normal row's share of a label, falling as a square root from an anomaly."""
    rows, half = len(truth), window // 2
    fringe = np.zeros(rows)
    if half == 0:
        return fringe
    away = np.sqrt(1.0 - np.arange(1, half + 1) / window)
    for start, end in events:
        after = min(half, rows - end)
        fringe[end : end + after] += away[:after]
        before = min(half, start)
        fringe[start - before : start] += away[:before][::-1]
    fringe[truth] = 0.0
    return np.minimum(fringe, 1.0)


def _share_found(events: IntArray, level: IntArray, thresholds: int, window: int) -> FloatArray:
    """Return the share of anomalies touched above each threshold; buffers that touch are one."""
    half, rows = window // 2, len(level)
    first = np.maximum(events[:, 0] - half, 0)
    last = np.minimum(events[:, 1] - 1 + half, rows - 1)
    apart = events[:-1, 1] - 1 + half < events[1:, 0] - half
    first, last = first[np.r_[True, apart]], last[np.r_[apart, True]]
    hit = [level[a : b + 1].min() for a, b in zip(first, last, strict=True)]
    return np.cumsum(np.bincount(hit, minlength=thresholds + 1)[:thresholds]) / len(hit)
