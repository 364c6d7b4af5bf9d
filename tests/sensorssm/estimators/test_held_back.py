"""What a correction reads of past rows is what forecasts that had not seen them said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sensorssm.estimators.attempt import attempt
from sensorssm.estimators.held_back import Reading
from sensorssm.estimators.learning import Lesson, Series
from sensorssm.estimators.selective_memory import Correction
from sensorssm.models.basis import horizon_basis
from sensorssm.models.memory_plan import plan_memory


def test_rows_of_a_block_are_read_by_the_forecast_that_had_not_seen_it() -> None:
    """Inside a held-back block the inputs are those of that block's forecast, elsewhere those of the
    forecast of all rows; the surprise of a block's first row is the other forecast's."""
    rng = np.random.default_rng(0)
    X = np.sin(np.arange(400) * np.pi / 6)[:, None] + 0.3 * rng.standard_normal((400, 2))
    series = Series(X, np.ones(400), 400)
    lesson = Lesson(plan_memory((12,), 400, 4), (12,), 8, np.zeros(2))
    linear = attempt(lesson, [series], np.ones(2)).linear
    other = replace(linear, weights=0.5 * linear.weights)
    spreads = len(linear.memory.spread_tau)
    correction = Correction(np.ones(2), np.zeros((2, spreads)), horizon_basis(8, 2))
    rows, block = np.arange(400), np.repeat([0, 1], 200)

    told = Reading(correction, series, linear, {1: other}, block).after(rows)
    first, second = (
        Reading(correction, series, one, {}, block).after(rows) for one in (linear, other)
    )

    np.testing.assert_array_equal(told[:200], first[:200])
    np.testing.assert_array_equal(told[201:], second[201:])
    assert (first[201:] != second[201:]).any(axis=1).all()
