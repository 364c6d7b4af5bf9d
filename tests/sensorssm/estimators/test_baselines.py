"""The baselines: by hand, with gaps, and by their quantiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sensorssm.errors import ConfigError
from sensorssm.estimators.baselines import EWMA, SeasonalNaive


def test_the_last_season_is_repeated() -> None:
    """Three seasons of two steps each, then the fourth as the third."""
    X = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])
    told = SeasonalNaive(season=2, horizon=3).fit(X).forecast()

    np.testing.assert_array_equal(told, [[3, 30], [4, 40], [3, 30]])


def test_a_missing_reading_repeats_the_season_before() -> None:
    """A hole is filled by what was read one season before it."""
    X = np.array([1.0, 2.0, np.nan, 4.0])[:, None]

    np.testing.assert_array_equal(
        SeasonalNaive(season=2, horizon=2).fit(X).forecast()[:, 0], [1, 4]
    )


def test_a_season_of_one_is_the_last_value() -> None:
    """`season=1` forecasts every row by the row before."""
    X = np.arange(10.0)[:, None]
    told = SeasonalNaive(season=1, horizon=4).fit(X).predict(X)

    np.testing.assert_array_equal(told[:, 0], [4.5, *range(9)])


def test_the_exponential_mean_is_that_of_pandas(rng: np.random.Generator) -> None:
    """Forecasts are pandas' `ewm(span).mean()`, holes left out as it does."""
    X = rng.standard_normal((50, 2))
    X[rng.random(X.shape) < 0.2] = np.nan
    X[0] = 1.0
    told = EWMA(span=7, horizon=3).fit(X).forecast_from(X, np.arange(50))

    wanted = pd.DataFrame(X).ewm(span=7).mean().to_numpy()
    np.testing.assert_allclose(told, np.repeat(wanted[:, None], 3, axis=1))


def test_intervals_of_a_random_walk_grow_and_cover(rng: np.random.Generator) -> None:
    """80 % intervals of the last value cover about 80 % and widen as the root of the step."""
    X = rng.standard_normal((6000, 1)).cumsum(axis=0)
    model = SeasonalNaive(season=1, horizon=16).fit(X[:3000])
    origins = np.arange(3000, 5980)
    fan = model.forecast_from(X, origins, quantiles=(0.1, 0.9))
    truth = X[origins[:, None] + np.arange(1, 17)]

    inside = (truth >= fan[..., 0]) & (truth <= fan[..., 1])
    assert inside.mean() == pytest.approx(0.8, abs=0.03)
    width = np.diff(fan[0, :, 0], axis=-1)[:, 0]
    assert width[15] / width[0] == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (SeasonalNaive(season=0), "season=0"),
        (SeasonalNaive(horizon=1.5), "horizon=1.5"),  # pyright: ignore[reportArgumentType]
        (EWMA(span=0.5), "span=0.5"),
    ],
)
def test_settings_out_of_range_are_refused(model: SeasonalNaive | EWMA, match: str) -> None:
    """A setting out of range is named with its value."""
    with pytest.raises(ConfigError, match=match):
        model.fit(np.arange(10.0)[:, None])


@pytest.mark.parametrize("model", [SeasonalNaive(season=3, horizon=4), EWMA(span=5, horizon=4)])
def test_assets_and_streams_go_on_by_themselves(
    model: SeasonalNaive | EWMA, rng: np.random.Generator
) -> None:
    """Each asset is read on from where it stands; a stream forecasts as one pass does."""
    X = rng.standard_normal((60, 2))
    X[rng.random(X.shape) < 0.2] = np.nan
    groups = np.repeat(["north", "south"], 30)
    model.fit(X, groups=groups)
    model.update(X[:5], groups=groups[:5])
    whole = model.forecast_from(np.concatenate([X[:30], X[:5]]), [-1], quantiles=(0.1, 0.9))[0]

    np.testing.assert_array_equal(model.forecast(quantiles=(0.1, 0.9), asset="north"), whole)
    south = model.forecast_from(X[30:], [-1])[0]
    np.testing.assert_array_equal(model.forecast(asset="south"), south)
    stream = model.stream("south")
    stream.update(X[0])
    assert (stream.forecast() != south).any()
    np.testing.assert_array_equal(model.forecast(asset="south"), south)
