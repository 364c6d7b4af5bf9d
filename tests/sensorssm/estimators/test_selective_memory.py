"""A correction inside a forecast: kept only if earned, the same offline, in chunks and online."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorssm.config import ResidualConfig, TrainingConfig
from sensorssm.estimators.forecast_model import ForecastModel
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.estimators.mixing import Mixing
from sensorssm.estimators.selective import SelectiveResidual
from sensorssm.estimators.selective_memory import Correction, inputs_of, mixing_inputs_of

QUANTILES = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    """Return 500 rows of two seasonal tags with holes."""
    rng = np.random.default_rng(11)
    wave = np.sin(np.arange(500) * np.pi / 12)
    X = np.stack([wave, 50 - 5 * wave], axis=1) + 0.2 * rng.standard_normal((500, 2))
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


@pytest.fixture(scope="module")
def corrected(readings: np.ndarray) -> SSMForecaster:
    """Return a forecaster with a correction of random weights put in, as if it had been kept.

    What it says is nonsense, which is what a test of its plumbing wants: far from 0 everywhere.
    """
    model = SSMForecaster(horizon=12, season=24).fit(readings)
    linear, conformal = model._model.linear, model._model.conformal
    spreads = len(linear.memory.spread_tau)
    columns = inputs_of(2, spreads, 12)
    rng = np.random.default_rng(0)
    rows = np.arange(400)
    config = ResidualConfig(
        dim=8, state_size=4, basis=4, min_rows=100, training=TrainingConfig(steps=100, batch=4)
    )
    selective = SelectiveResidual(config, 0)
    inputs = rng.standard_normal((400, columns)).astype(np.float32)
    teacher = np.tanh(inputs[:, :1, None]) * np.ones((1, 12, 2), np.float32)
    selective.fit(
        inputs,
        lambda origins: teacher[origins],
        train_rows=rows[:200],
        valid_rows=rows[200:380],
        starts=[0],
        horizon=12,
    )
    assert selective.kept_, "the teacher is in the inputs: the correction must have been kept"
    size, usual = np.array([0.2, 1.0]), np.zeros((2, spreads))
    seen = mixing_inputs_of(2, 12, may_walk=False)
    weights = 0.1 * rng.standard_normal((seen, 4, 2))
    limit = np.full((4, 2), 1.0)
    mixing = Mixing(np.zeros(seen), np.ones(seen), weights, limit, np.array([0.1]))
    correction = Correction(size, usual, selective.basis_, mixing, selective)
    model._model = ForecastModel(linear, model._model.reach, conformal, correction)
    model._states = {"": model._model.start()}
    return model


def test_a_correction_streams_as_it_batches(corrected: SSMForecaster, readings: np.ndarray) -> None:
    """Row by row and in one pass, a corrected forecast and its quantiles are the same."""
    batch = corrected.forecast_from(readings, [57, 300, 499], quantiles=QUANTILES)
    points = corrected.forecast_from(readings, [57, 300, 499])
    stream = corrected.stream()
    told = {}
    for row, reading in enumerate(readings):
        stream.update(reading)
        told[row] = stream.forecast(quantiles=QUANTILES), stream.forecast()

    for fan, point, row in zip(batch, points, (57, 300, 499), strict=True):
        # The correction runs in float32, whose sums differ in their last digits.
        np.testing.assert_allclose(told[row][0], fan, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(told[row][1], point, rtol=1e-5, atol=1e-6)


def test_a_correction_changes_every_road_to_a_forecast(
    corrected: SSMForecaster, readings: np.ndarray
) -> None:
    """`predict`, `forecast_from` and the knots that calibration judges all carry it."""
    model = corrected._model
    plain = ForecastModel(model.linear, model.reach, model.conformal)
    rows = np.array([300])
    seen, bare = (one.advance(readings, np.ones(500), one.start(), rows) for one in (model, plain))

    told, without = model.forecast(seen, None, None), plain.forecast(bare, None, None)
    assert np.abs(told - without).max() > 1e-3
    np.testing.assert_allclose(
        corrected.predict(readings)[1:], corrected.forecast_from(readings, np.arange(499), 1)[:, 0]
    )
    assert np.abs(seen.width - bare.width).max() > 0


def test_a_correction_is_saved_and_snapshots_hold_its_state(
    corrected: SSMForecaster, readings: np.ndarray, tmp_path: Path
) -> None:
    """Loaded, and restored in the middle, it says what it said."""
    corrected.save(tmp_path)
    loaded = SSMForecaster.load(tmp_path)
    first, second = corrected.stream(), loaded.stream()
    for row in readings[:100]:
        first.update(row)
    second.restore(first.snapshot())
    first.update(readings[100])
    second.update(readings[100])

    np.testing.assert_array_equal(first.forecast(), second.forecast())


@pytest.mark.parametrize("spike", [1e60, -1e149])
def test_a_spike_that_float32_cannot_hold_is_read_as_a_large_one(
    corrected: SSMForecaster, readings: np.ndarray, spike: float
) -> None:
    """What the correction adds is finite and within its limits, without a warning."""
    spiked = readings[:40].copy()
    spiked[30, 0] = spike
    model = corrected._model
    seen = model.advance(spiked, np.ones(40), model.start(), np.arange(40))

    assert np.isfinite(corrected.forecast_from(spiked, [29, 30, 39], quantiles=QUANTILES)).all()
    assert np.isfinite(seen.coefficients).all() and (seen.coefficients[30] != 0).any()


@pytest.mark.slow
def test_nothing_to_correct_is_not_corrected() -> None:
    """On a wave in white noise `memory="auto"` says exactly what `memory="fixed"` says."""
    rng = np.random.default_rng(2)
    X = np.sin(np.arange(1500) * np.pi / 12)[:, None] + 0.3 * rng.standard_normal((1500, 2))
    auto, fixed = (SSMForecaster(horizon=12, season=24, memory=m).fit(X) for m in ("auto", "fixed"))

    assert auto._model.correction is None
    np.testing.assert_array_equal(auto.forecast(), fixed.forecast())
