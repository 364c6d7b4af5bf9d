"""Spikes are doubted where that pays, changes are not for long, and both can be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators.forecaster import SSMForecaster

ROWS, SEASON = 1200, 24


def readings(spikes: bool) -> np.ndarray:
    """Return two seasonal tags, 2 % of whose readings are spikes of 5 to 15 standard deviations."""
    rng = np.random.default_rng(5)
    wave = np.sin(np.arange(ROWS) * 2 * np.pi / SEASON)
    X = np.stack([wave, -wave], axis=1) + 0.1 * rng.standard_normal((ROWS, 2))
    if spikes:
        there = rng.random(X.shape) < 0.02
        X += there * rng.choice([-1.0, 1.0], X.shape) * rng.uniform(5.0, 15.0, X.shape)
    return X


def fit(X: np.ndarray, memory: str) -> SSMForecaster:
    return SSMForecaster(horizon=12, season=SEASON, memory=memory).fit(X)


@pytest.fixture(scope="module")
def gated() -> SSMForecaster:
    """Return a forecaster fitted on readings with spikes, which has its gate."""
    return fit(readings(spikes=True), "gated")


def test_a_gate_comes_with_spikes_and_only_where_it_is_allowed(gated: SSMForecaster) -> None:
    """A fixed memory has none, and clean readings need none."""
    assert gated._model.linear.gate is not None
    assert fit(readings(spikes=True), "fixed")._model.linear.gate is None
    assert fit(readings(spikes=False), "gated")._model.linear.gate is None


def test_a_spike_before_the_origin_moves_a_gated_forecast_less(gated: SSMForecaster) -> None:
    """What one wild reading does to the next hours is cut to a third or less."""
    X = readings(spikes=False)
    wild = X.copy()
    wild[-1, 0] += 8.0
    moved = {}
    for model in (gated, fit(readings(spikes=True), "fixed")):
        plain, hit = (model.forecast_from(x, [ROWS - 1])[0, :, 0] for x in (X, wild))
        moved[model.memory] = np.abs(hit - plain).mean()
    assert moved["gated"] < moved["fixed"] / 3


def test_listening_is_whole_but_for_spikes_gaps_and_the_start_of_a_change(
    gated: SSMForecaster,
) -> None:
    """A spike is hardly heard, a missing reading not at all, and a change after three rows."""
    X = readings(spikes=False)
    X[600, 0] += 8.0
    X[700, 1] = np.nan
    X[900:, 0] += 8.0
    heard = gated.listening(X)

    assert heard.shape == X.shape and heard.min() >= 0.0 and heard.max() <= 1.0
    assert heard[600, 0] < 0.2 and heard[601:610, 0].min() == 1.0
    assert heard[700, 1] == 0.0
    assert heard[900:903, 0].max() < 0.2 and heard[903:910, 0].min() == 1.0
    assert (heard == 1.0).mean() > 0.98


def test_listening_looks_at_nothing_later(gated: SSMForecaster) -> None:
    """Rows read so far are heard the same whatever comes next."""
    X = readings(spikes=True)
    np.testing.assert_array_equal(gated.listening(X)[:500], gated.listening(X[:500]))


def test_a_fixed_memory_listens_to_all_there_is() -> None:
    """1 where there is a reading and 0 where there is none."""
    X = readings(spikes=True)
    X[::7, 0] = np.nan
    heard = fit(X, "fixed").listening(X)
    np.testing.assert_array_equal(heard, np.isfinite(X))
