"""Which seasons are found, and which are not made up."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.errors import ConfigError
from sensorssm.estimators.seasonality import find_seasons, resolve_seasons


def wave(rows: int, period: int, rng: np.random.Generator, noise: float = 1.0) -> np.ndarray:
    """Return one tag that repeats every `period` rows, in noise of its own size."""
    shape = np.sin(2 * np.pi * np.arange(rows) / period)
    return (shape + noise * rng.standard_normal(rows))[:, None]


@pytest.mark.parametrize("period", [7, 12, 24, 96, 144])
def test_a_season_is_found_in_noise(period: int, rng: np.random.Generator) -> None:
    """A wave under noise of its own size is found, within a step."""
    (found,) = find_seasons(wave(20 * period, period, rng))
    assert abs(found - period) <= max(1, period // 48)


def test_a_week_of_days_is_found_with_its_days(rng: np.random.Generator) -> None:
    """Hourly readings that are lower at weekends have two seasons."""
    hour = np.arange(24 * 7 * 12)
    values = np.sin(2 * np.pi * hour / 24) - 1.0 * ((hour // 24) % 7 >= 5)
    values = values + 0.3 * rng.standard_normal(len(hour))

    assert find_seasons(values[:, None]) == (24, 168)


def test_drift_gaps_and_spikes_do_not_hide_a_season(rng: np.random.Generator) -> None:
    """A trend, a third of the rows missing and wild readings leave the season where it is."""
    values = wave(1200, 24, rng, noise=0.5) + np.linspace(0, 30, 1200)[:, None]
    values[rng.random(1200) < 0.3] = np.nan
    values[rng.random(1200) < 0.01] = 1e4

    assert find_seasons(values) == (24,)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["walk", "noise", "memory"])
def test_no_season_is_made_up(kind: str, seed: int) -> None:
    """A random walk, white noise and noise with a memory have none."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((2000, 2))
    values = {"walk": noise.cumsum(axis=0), "noise": noise}.get(kind)
    if values is None:
        values = noise.copy()
        for row in range(1, 2000):
            values[row] += 0.95 * values[row - 1]

    assert find_seasons(values) == ()


@pytest.mark.parametrize("values", [np.zeros((500, 1)), np.full((500, 2), np.nan), np.ones((3, 1))])
def test_nothing_to_find_is_no_season(values: np.ndarray) -> None:
    """Constant, missing and very few readings have no season, and nothing warns."""
    assert find_seasons(values) == ()


def test_what_is_asked_for_is_taken() -> None:
    """Steps, lists and None are taken as they are, sorted and once."""
    X = np.zeros((10, 1))
    assert resolve_seasons(None, X) == ()
    assert resolve_seasons(24, X) == (24,)
    assert resolve_seasons([672, 96, 96], X) == (96, 672)
    with pytest.raises(ConfigError, match="whole number of steps"):
        resolve_seasons(2.5, X)
