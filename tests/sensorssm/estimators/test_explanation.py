"""A forecast taken apart: exactly, reading by reading."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.errors import ConfigError, ShapeError
from sensorssm.estimators.explanation import Explanation
from sensorssm.estimators.forecaster import SSMForecaster


def whole(parts: Explanation) -> np.ndarray:
    """Return the sum of all parts, (H, M)."""
    recent = parts.contributions.sum(axis=1)
    return parts.level + recent + parts.older + parts.across + parts.future


def readings(rows: int, spikes: float = 0.0) -> np.ndarray:
    """Return two seasonal tags far from 0, with holes, and spikes where asked for."""
    rng = np.random.default_rng(8)
    wave = np.sin(2 * np.pi * np.arange(rows) / 24)
    X = np.stack([1e4 + 5 * wave, 3 - wave], axis=1) + 0.4 * rng.standard_normal((rows, 2))
    X[rng.random(X.shape) < 0.1] = np.nan
    X += np.where(rng.random(X.shape) < spikes, 30.0, 0.0)
    return X


@pytest.fixture(scope="module")
def fitted() -> SSMForecaster:
    """Return a forecaster whose readout is worth keeping."""
    return SSMForecaster(horizon=30, season=[24]).fit(readings(1500))


@pytest.mark.parametrize("origin", [0, 5, 700, -1])
@pytest.mark.parametrize("past", [1, 50, 5000])
def test_the_parts_add_up_to_the_forecast(fitted: SSMForecaster, origin: int, past: int) -> None:
    """Whatever part of the past is looked at, what is told apart is what was forecast."""
    X = readings(800)
    parts = fitted.explain_forecast(X, origin, past=past)

    np.testing.assert_allclose(whole(parts), fitted.forecast_from(X, [origin])[0], rtol=1e-11)
    np.testing.assert_array_equal(parts.forecast, fitted.forecast_from(X, [origin])[0])


def test_a_response_is_what_a_changed_reading_does(fitted: SSMForecaster) -> None:
    """Adding 1 to one reading moves the forecast by its response, and nothing else's.

    That is as far as the forecast reaches; the reading may also tell it to reach further or less.
    """
    X, model = readings(800), fitted._model
    parts = fitted.explain_forecast(X, past=40)
    ones, end = np.ones(800), np.array([799])
    seen = model.advance(X, ones, model.start(), end)
    for lag, tag in ((0, 0), (5, 1), (24, 1), (39, 1)):
        other = X.copy()
        other[-1 - lag, tag] += 1.0
        as_far = model.advance(other, ones, model.start(), end)._replace(weighed=seen.weighed)
        moved = model.forecast(as_far, None, None)[0] - fitted.forecast_from(X, [-1])[0]
        wanted = np.zeros_like(moved)
        wanted[:, tag] = parts.response[:, lag, tag]
        np.testing.assert_allclose(moved, wanted, atol=1e-9)


def test_missing_readings_carry_nothing(fitted: SSMForecaster) -> None:
    """Where nothing was read there is no response and no contribution."""
    X = readings(800)
    X[790:795, 0] = np.nan
    parts = fitted.explain_forecast(X, past=12)

    assert not parts.response[:, 5:10, 0].any() and not parts.contributions[:, 5:10, 0].any()
    assert parts.response[:, 5:10, 1].any()


def test_a_distrusted_spike_carries_less() -> None:
    """Behind a gate the parts still add up, and the spike's response is a fraction of its kind."""
    model = SSMForecaster(horizon=12, season=24).fit(readings(3000, spikes=0.02))
    assert model._model.linear.gate is not None
    X = np.nan_to_num(readings(600), nan=0.0) + np.where(np.isnan(readings(600)), [1e4, 3.0], 0.0)
    calm = model.explain_forecast(X, past=30)
    X[-4, 0] += 40.0
    parts = model.explain_forecast(X, past=30)

    np.testing.assert_allclose(whole(parts), model.forecast_from(X, [-1])[0], rtol=1e-11)
    assert np.abs(parts.response[0, 3, 0]) < 0.3 * np.abs(calm.response[0, 3, 0])


def test_known_inputs_have_their_share() -> None:
    """What a known future adds stands apart from what the readings carry."""
    rng = np.random.default_rng(2)
    U = np.repeat(rng.standard_normal(100), 8)[:, None]
    X = 3.0 * U + 0.1 * rng.standard_normal((800, 1))
    model = SSMForecaster(horizon=8, season=None).fit(X[:600], future=U[:600])
    parts = model.explain_forecast(X, 700, future=U)

    np.testing.assert_allclose(whole(parts), parts.forecast, rtol=1e-12)
    np.testing.assert_array_equal(parts.forecast, model.forecast_from(X, [700], future=U)[0])
    assert np.abs(parts.future).max() > 0.1


def test_assets_are_explained_one_by_one(fitted: SSMForecaster) -> None:
    """An origin in the second asset is explained by that asset's rows alone."""
    X = readings(800)
    groups = np.repeat(["north", "south"], 400)
    parts = fitted.explain_forecast(X, 500, groups=groups, past=500)

    assert parts.response.shape == (30, 101, 2)
    np.testing.assert_array_equal(parts.forecast, fitted.forecast_from(X[400:], [100])[0])


def test_what_makes_no_sense_is_refused(fitted: SSMForecaster) -> None:
    """No past, no such row, too far ahead."""
    X = readings(100)
    with pytest.raises(ConfigError, match="past=0"):
        fitted.explain_forecast(X, past=0)
    with pytest.raises(ShapeError, match="origins 100"):
        fitted.explain_forecast(X, 100)
    with pytest.raises(ConfigError, match="horizon=31"):
        fitted.explain_forecast(X, horizon=31)
