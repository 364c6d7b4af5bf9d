"""The lag at which readings repeat: found when hardly seen twice, and not made up."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators import repeats
from sensorssm.estimators.repeats import find_repeat
from sensorssm.estimators.seasonality import find_seasons


def pattern(rows: int, period: int, seed: int, noise: float = 0.5) -> np.ndarray:
    """Return three tags that repeat any values every `period` rows, in noise."""
    rng = np.random.default_rng(seed)
    shape = np.tile(rng.standard_normal((period, 3)), (rows // period + 1, 1))[:rows]
    return shape + noise * rng.standard_normal((rows, 3))


@pytest.mark.parametrize("seed", range(3))
def test_a_pattern_that_hardly_came_twice_is_found(seed: int) -> None:
    """1.7 periods tell, also with gaps and wild readings; a period more than that share does not."""
    values = pattern(170, 100, seed)
    assert find_repeat(values) == 100
    values[np.random.default_rng(seed).random(values.shape) < 0.1] = np.nan
    values[80, 1] = 1e6
    assert find_repeat(values) == 100
    assert find_repeat(pattern(140, 100, seed)) is None


@pytest.mark.parametrize("seed", range(3, 6))
def test_a_pattern_under_more_noise_than_changes_from_row_to_row_is_found(seed: int) -> None:
    """Where the row before is as near as a period ago, means of rows tell; to the step."""
    rng = np.random.default_rng(seed)
    days = np.repeat(2 * rng.standard_normal((7, 3)), 24, axis=0)
    values = np.tile(days, (2, 1))[:300] + rng.standard_normal((300, 3))
    assert repeats._surely_nearest(values) is None
    assert find_repeat(values) == 168


@pytest.mark.parametrize("kind", ["walk", "noise", "memory", "sparse", "trend", "steps"])
def test_nothing_is_made_up(kind: str) -> None:
    """Of 40 records of made-up readings that repeat nothing, none is said to."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((160, 1 + seed % 3))
        if kind == "walk":
            values = noise.cumsum(axis=0)
        elif kind == "memory":
            values = noise.copy()
            for row in range(1, len(values)):
                values[row] += 0.9 * values[row - 1]
        elif kind == "sparse":
            values = np.where(rng.random(noise.shape) < 0.08, np.abs(noise), 0.0)
        elif kind == "trend":
            values = noise + 0.05 * np.arange(160)[:, None]
        elif kind == "steps":
            values = (rng.random(noise.shape) < 0.01).cumsum(axis=0) + 0.1 * noise
        else:
            values = noise
        found.append(find_repeat(values))
    assert found == [None] * 40


def test_the_products_are_the_means_of_squares() -> None:
    """The transform gives what a loop over the lags does, with readings missing."""
    values = np.random.default_rng(0).standard_normal((60, 2)).cumsum(axis=0)
    values[np.random.default_rng(1).random(values.shape) < 0.2] = np.nan
    wanted = [np.nanmean((values[lag:] - values[:-lag]) ** 2) for lag in range(1, 30)]
    np.testing.assert_allclose(repeats._mean_squares_apart(values, 29), wanted, rtol=1e-9)


def test_a_repeat_joins_the_season_it_is_a_multiple_of() -> None:
    """Days and weeks seen 1.8 times are both; a pattern without days is alone."""
    hours = np.arange(300)
    days = 3 * np.sin(2 * np.pi * hours / 24)[:, None]
    assert find_seasons(days + pattern(300, 168, 4)) == (24, 168)
    assert find_seasons(pattern(300, 168, 4)) == (168,)


@pytest.mark.parametrize("values", [np.zeros((90, 1)), np.full((90, 2), np.nan), np.ones((3, 1))])
def test_nothing_to_find(values: np.ndarray) -> None:
    """Constant, missing and few readings repeat nothing, and nothing warns."""
    assert find_repeat(values) is None
