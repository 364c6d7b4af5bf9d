"""Held-back residuals, told by the steps since a tag was last read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sensorssm.estimators.attempt import attempt, since_reading
from sensorssm.estimators.learning import Lesson, Series
from sensorssm.models.memory_plan import plan_memory


def test_residuals_are_told_by_the_steps_since_the_last_reading() -> None:
    """What a row says one step ahead, two steps after the last reading, is a third step's."""
    residual = np.arange(1.0, 9.0).reshape(1, 4, 2)
    moved = since_reading(residual, np.array([[0.0, 2.0]]))

    np.testing.assert_array_equal(moved[0, :, 0], residual[0, :, 0])
    np.testing.assert_array_equal(moved[0, :, 1], [np.nan, np.nan, 2.0, 4.0])


def test_attempts_are_compared_where_both_were_held_back() -> None:
    """A block of which the other attempt knows nothing, as all its readings are doubted, does not
    keep it from being better on the rest."""
    values = np.random.default_rng(0).normal(size=(400, 1))
    start, scale = np.zeros(1), np.ones(1)
    lesson = Lesson(plan_memory((), len(values), lags=4), seasons=(), horizon=2, start=start)
    mine = attempt(lesson, [Series(values, np.ones(len(values)), len(values))], scale)
    other = replace(mine, residual=0.5 * mine.residual)
    other.residual[mine.block == mine.block[0]] = np.nan

    assert mine.or_better(other) is other
    assert other.or_better(mine) is other
