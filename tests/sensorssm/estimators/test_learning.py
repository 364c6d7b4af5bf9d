"""What a pass over the readings adds to the sums that a readout is solved from."""

from __future__ import annotations

import numpy as np

from sensorssm.estimators.learning import Lesson, Series, learn
from sensorssm.models.memory_plan import plan_memory


def test_a_row_without_a_reading_teaches_nothing(rng: np.random.Generator) -> None:
    """A tag that is read in every other row gives half the lessons of one that always is."""
    values = rng.standard_normal((400, 2))
    values[1::2, 1] = np.nan
    lesson = Lesson(plan_memory((), 400, lags=4), seasons=(), horizon=2, start=np.zeros(2))

    always, half = learn(lesson, [Series(values, np.ones(400), 400)]).sums.rows.sum(axis=0)
    assert abs(half - always / 2) <= 3
