"""DLinear: its split by hand, its solution against the training it replaces, gaps, quantiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorssm.errors import ConfigError, ModelFileError
from sensorssm.estimators.dlinear import DLinear, trend_and_remainder


def wave(rows: int, rng: np.random.Generator, noise: float = 0.1) -> np.ndarray:
    """Return two seasonal tags of unlike units."""
    angle = 2 * np.pi * np.arange(rows) / 24
    clean = np.stack([1000 + 30 * np.sin(angle), np.cos(angle)], axis=1)
    return clean + noise * rng.standard_normal((rows, 2)) * [30, 1]


def test_the_split_is_a_moving_mean_with_repeated_ends() -> None:
    """Five readings and a mean of three, by hand; the remainder is the rest."""
    window = np.array([3.0, 0.0, 6.0, 9.0, 3.0])
    trend, rest = np.split(trend_and_remainder(5, 3) @ window, 2)

    np.testing.assert_allclose(trend, [2, 3, 5, 6, 5])
    np.testing.assert_allclose(trend + rest, window)


def test_the_maps_solve_the_ridge_regression_that_they_claim(rng: np.random.Generator) -> None:
    """scikit-learn's Ridge on the trend and the remainder of each window forecasts the same."""
    from sklearn.linear_model import Ridge

    from sensorssm.estimators import dlinear

    X = wave(400, rng)
    model = DLinear(horizon=6, context=10, trend=3).fit(X[:300], X_val=X[300:])
    z = (X - X[:300].mean(axis=0)) / X[:300].std(axis=0)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([np.zeros((9, 2)), z]), 10, axis=0
    )[:294].reshape(-1, 10)
    after = np.lib.stride_tricks.sliding_window_view(z, 6, axis=0)[1:295].reshape(-1, 6)
    features = windows @ trend_and_remainder(10, 3).T
    size = np.trace(features.T @ features) / 20
    maps = [
        trend_and_remainder(10, 3).T
        @ Ridge(ridge * size, fit_intercept=False).fit(features, after).coef_.T
        for ridge in dlinear.RIDGES
    ]

    distance = [np.abs(model._fold.maps - one).max() for one in maps]
    assert min(distance) < 1e-8


def test_a_wave_is_forecast_and_a_gap_bridged(rng: np.random.Generator) -> None:
    """A noisy wave is forecast to its noise, with a fifth of its readings missing too."""
    X, truth = wave(2000, rng), wave(2000, rng, noise=0.0)
    X[rng.random(X.shape) < 0.2] = np.nan
    model = DLinear(horizon=24, context=72).fit(X[:1500])
    origins = np.arange(1500, 1970)
    error = model.forecast_from(X, origins) - truth[origins[:, None] + np.arange(1, 25)]

    assert np.all(np.abs(error).mean(axis=(0, 1)) < 0.15 * np.array([30, 1]))


def test_intervals_cover_what_they_say(rng: np.random.Generator) -> None:
    """80 % intervals hold about 80 % of later readings of both tags."""
    X = wave(6000, rng)
    model = DLinear(horizon=12, context=48).fit(X[:4000])
    origins = np.arange(4000, 5980)
    fan = model.forecast_from(X, origins, quantiles=(0.1, 0.9))
    truth = X[origins[:, None] + np.arange(1, 13)]

    inside = (truth >= fan[..., 0]) & (truth <= fan[..., 1])
    np.testing.assert_allclose(inside.mean(axis=(0, 1)), 0.8, atol=0.03)


@pytest.mark.parametrize("rows", [2, 3, 24, 48])
def test_few_rows_give_a_finite_forecast(rows: int, rng: np.random.Generator) -> None:
    """Where there is too little to learn from, every tag is forecast by its mean."""
    X = wave(rows, rng)
    told = DLinear(horizon=48, context=24).fit(X).forecast()

    np.testing.assert_allclose(told, np.tile(X[: len(X) - len(X) // 5].mean(axis=0), (48, 1)))


def test_a_constant_tag_stays(rng: np.random.Generator) -> None:
    """A tag that never moved is forecast as it is."""
    X = wave(300, rng)
    X[:, 1] = 0.1
    told = DLinear(horizon=8, context=24).fit(X).forecast()

    np.testing.assert_allclose(told[:, 1], 0.1)


@pytest.mark.parametrize("setting", [{"horizon": 0}, {"context": 1.5}, {"trend": True}])
def test_bad_settings_are_named(setting: dict[str, object]) -> None:
    """A setting that makes no sense is refused by its name."""
    with pytest.raises(ConfigError, match=next(iter(setting))):
        DLinear(**setting).fit(np.zeros((50, 1)))


def test_another_models_snapshot_is_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    """A stream goes on from its own snapshot alone; a folder whose sizes disagree is refused."""
    X = wave(300, rng)
    one, other = (DLinear(horizon=8, context=context).fit(X) for context in (24, 12))
    stream = one.stream()
    with pytest.raises(ModelFileError, match="window"):
        stream.restore(other.stream().snapshot())

    other._fold.offsets.resize((1, 8, 15), refcheck=False)
    other.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="DLinear"):
        DLinear.load(tmp_path / "model")
