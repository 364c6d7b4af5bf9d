"""Held-back residuals, told by the steps since a tag was last read."""

from __future__ import annotations

import numpy as np

from sensorssm.estimators.attempt import since_reading


def test_residuals_are_told_by_the_steps_since_the_last_reading() -> None:
    """What a row says one step ahead, two steps after the last reading, is a third step's."""
    residual = np.arange(1.0, 9.0).reshape(1, 4, 2)
    moved = since_reading(residual, np.array([[0.0, 2.0]]))

    np.testing.assert_array_equal(moved[0, :, 0], residual[0, :, 0])
    np.testing.assert_array_equal(moved[0, :, 1], [np.nan, np.nan, 2.0, 4.0])
