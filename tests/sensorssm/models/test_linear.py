"""The linear forecast's weights beyond what was fitted."""

from __future__ import annotations

import numpy as np

from sensorssm.models.linear import continued


def test_weights_go_on_by_their_last_season() -> None:
    """Steps beyond the fitted ones repeat the longest season that fits, from its start."""
    weights = np.arange(8, dtype=np.float32)[None, None]

    np.testing.assert_array_equal(
        continued(weights, 14, (3, 5, 9))[0, 0], [*range(8), 3, 4, 5, 6, 7, 3]
    )


def test_weights_without_a_season_go_on_by_their_last_step() -> None:
    """Without a season every further step is forecast as the last fitted one."""
    weights = np.arange(3, dtype=np.float32)[None, None]

    np.testing.assert_array_equal(continued(weights, 5, ())[0, 0], [0, 1, 2, 2, 2])
    np.testing.assert_array_equal(continued(weights, 2, ())[0, 0], [0, 1])
