"""Means and spreads of tags: of all assets together, and of each."""

from __future__ import annotations

import numpy as np

from sensorssm.estimators.scale import Scale


def test_an_asset_without_a_scale_of_its_own_takes_that_of_all() -> None:
    """A tag without readings has the common mean and spread, one that never varies the spread."""
    full = np.array([[1.0, 10.0, 2.0], [3.0, 30.0, 4.0]])
    bare = np.array([[5.0, np.nan, 6.0], [9.0, np.nan, 6.0]])
    scales, whole = Scale.of_each([full, bare]), Scale.of(np.concatenate([full, bare]))

    np.testing.assert_array_equal(scales.centre, [whole.centre, [2, 20, 3], [7, 20, 6]])
    np.testing.assert_array_equal(
        scales.spread, [whole.spread, [1, 10, 1], [2, 10, whole.spread[2]]]
    )
