"""What a detector must beat: scores that need no model, with thresholds of the same rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def distance_score(values: FloatArray, fitted: int) -> FloatArray:
    """Return how far the worst tag is from its mean, in spreads over the `fitted` rows, (n,)."""
    return _worst(np.abs(values - np.nanmean(values[:fitted], axis=0)), values[:fitted])


def change_score(values: FloatArray, fitted: int) -> FloatArray:
    """Return the largest change of a tag since the row before, in spreads of such changes, (n,)."""
    change = np.diff(values, axis=0, prepend=values[:1])
    return _worst(np.abs(change), change[:fitted])


def random_score(values: FloatArray, fitted: int) -> FloatArray:
    """Return noise, (n,): what any number is worth that does not look at the readings."""
    return np.random.default_rng(0).random(len(values))


NAIVE: dict[str, Callable[[FloatArray, int], FloatArray]] = {
    "distance": distance_score,
    "change": change_score,
    "random": random_score,
}


def naive_threshold(scores: FloatArray, fitted: int, false_alarm_rate: float) -> float:
    """Return the score that a share `false_alarm_rate` of the first `fitted` rows passes."""
    return float(np.nanquantile(scores[:fitted], 1 - false_alarm_rate))


def _worst(size: FloatArray, reference: FloatArray) -> FloatArray:
    """Return the largest of each row's sizes (n, M) in spreads of `reference`; missing counts 0."""
    spread = np.nanstd(reference, axis=0)
    return np.nan_to_num(size / np.where(spread > 0, spread, np.inf)).max(axis=1)
