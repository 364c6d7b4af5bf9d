"""Readings that a forecast would rather not believe: single spikes, found from the past alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.attempt import Attempt
from sensorssm.estimators.learning import Series
from sensorssm.models.memory import Gate

FloatArray = NDArray[np.float64]

# A reading this many spreads from its one-step forecast counts less.
WIDTH = 6.0
# Fewer distrusted readings than this share are not worth a pass.
FEW_SPIKES = 0.002


def distrust(attempt: Attempt, series: Sequence[Series]) -> tuple[Gate | None, list[Series]]:
    """Return a gate by the attempt's own one-step forecast, and `series` with the readings that
    it distrusts marked; no gate where it would hardly ever close."""
    gate = Gate(_one_step(attempt), WIDTH)
    memory, start = attempt.lesson.memory, attempt.lesson.start
    marked = []
    for one in series:
        trust = memory.trust(one.values, one.elapsed, memory.init_state(start), gate)
        marked.append(replace(one, distrusted=np.isfinite(one.values) & (trust < 1.0)))
    share = np.mean([one.distrusted.mean() for one in marked])
    return (gate if share > FEW_SPIKES else None), marked


def _one_step(attempt: Attempt) -> FloatArray:
    """Return weights (M, F) whose sum, plus the level, is the next reading's forecast.

    What repeats a season cannot be said in these terms; the last reading stands for it.
    """
    linear = attempt.linear
    weights = linear.weights[:, :, 0].astype(np.float64)
    weights[:, attempt.lesson.memory.last_column] += linear.bases.sum(axis=1)
    return weights
