"""Missing readings become what was to be expected of them, from the rows before alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sensorssm.errors import ConfigError
from sensorssm.estimators.forecaster import SSMForecaster

ROWS, HORIZON = 1200, 36


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    """Return two noisy waves of 24 steps."""
    rng = np.random.default_rng(6)
    wave = np.sin(2 * np.pi * np.arange(ROWS) / 24)
    return np.stack([20 + 3 * wave, 5 - wave], axis=1) + 0.2 * rng.standard_normal((ROWS, 2))


@pytest.fixture(scope="module")
def fitted(readings: np.ndarray) -> SSMForecaster:
    """Return a forecaster of the waves."""
    return SSMForecaster(horizon=HORIZON, season=24).fit(readings[:800])


@pytest.fixture
def gappy(readings: np.ndarray) -> np.ndarray:
    """Return the readings with gaps of 1, 5, 20 and 60 rows, each tag its own."""
    X = readings.copy()
    X[900, 0] = X[950:955, 1] = X[1000:1020, 0] = X[1100:1160, 1] = np.nan
    return X


def test_gaps_hold_the_forecast_from_the_last_reading(
    fitted: SSMForecaster, gappy: np.ndarray
) -> None:
    """Each filled value is the forecast, as many steps ahead as the gap is deep."""
    filled = fitted.impute(gappy)

    told = fitted.forecast_from(gappy, [899, 949, 999, 1099])
    np.testing.assert_array_equal(filled[900, 0], told[0, 0, 0])
    np.testing.assert_array_equal(filled[950:955, 1], told[1, :5, 1])
    np.testing.assert_array_equal(filled[1000:1020, 0], told[2, :20, 0])
    np.testing.assert_array_equal(filled[1100:1136, 1], told[3, :, 1])
    # Beyond the horizon the last season of the forecast goes on.
    np.testing.assert_array_equal(filled[1136:1160, 1], told[3, 12:36, 1])


def test_what_was_read_stays(fitted: SSMForecaster, gappy: np.ndarray) -> None:
    """Only missing readings change, none is left, and the input is not touched."""
    before = gappy.copy()
    filled = fitted.impute(gappy)
    known = np.isfinite(gappy)

    np.testing.assert_array_equal(filled[known], gappy[known])
    np.testing.assert_array_equal(gappy, before)
    assert np.isfinite(filled).all()


def test_filled_values_are_near_the_truth(
    fitted: SSMForecaster, gappy: np.ndarray, readings: np.ndarray
) -> None:
    """In gaps deeper than half a season they beat holding the last reading four times over."""
    deep = slice(1008, 1020)
    error = np.abs(fitted.impute(gappy)[deep, 0] - readings[deep, 0]).mean()

    assert error < 0.25 * np.abs(readings[999, 0] - readings[deep, 0]).mean()


def test_nothing_looks_ahead(fitted: SSMForecaster, gappy: np.ndarray) -> None:
    """Rows after a gap, however wild, change nothing in it or before it."""
    wild = gappy.copy()
    wild[1010:] = 1e6

    # Another number of forecasts at once may round their products otherwise in the last bit.
    np.testing.assert_allclose(fitted.impute(wild)[:1010], fitted.impute(gappy)[:1010], rtol=1e-14)


def test_quantiles_bound_what_may_have_been(readings: np.ndarray) -> None:
    """Four fifths of 160 blanked readings lie between the 0.1 and the 0.9 quantile."""
    blank = np.random.default_rng(1).random(readings.shape) < 0.2
    X = np.where(blank, np.nan, readings)
    model = SSMForecaster(horizon=HORIZON, season=24).fit(X[:800])
    low, high = (model.impute(X, quantile) for quantile in (0.1, 0.9))

    inside = (readings >= low) & (readings <= high)
    assert 0.72 < inside[800:][blank[800:]].mean() < 0.88
    np.testing.assert_array_equal(low[~blank], readings[~blank])
    with pytest.raises(ConfigError, match="increasing levels"):
        model.impute(X, 1.5)


def test_a_dropped_row_and_a_missing_one_leave_the_same_gap(
    fitted: SSMForecaster, readings: np.ndarray
) -> None:
    """Steps are counted in time: a gap after rows that are not there is as deep as it is."""
    time = np.datetime64("2026-01-01", "ns") + np.arange(ROWS) * np.timedelta64(1, "m")
    model = SSMForecaster(horizon=HORIZON, season=24).fit(readings[:800], times=time[:800])
    X = readings.copy()
    X[1000:1006] = np.nan
    kept = np.r_[0:1002, 1005:ROWS]

    whole, short = model.impute(X, times=time), model.impute(X[kept], times=time[kept])
    np.testing.assert_array_equal(short[1002], whole[1005])


def test_frames_keep_their_kind_and_their_other_columns(
    fitted: SSMForecaster, readings: np.ndarray, gappy: np.ndarray
) -> None:
    """Time and asset stay where they were, in Polars and with an index of times in pandas."""
    time = pd.date_range("2026-01-01", periods=ROWS, freq="min")
    known = pd.DataFrame(readings, columns=["a", "b"], index=time)
    table = pd.DataFrame(gappy, columns=["a", "b"], index=time)
    model = SSMForecaster(horizon=HORIZON, season=24).fit(known[:800])
    wanted = fitted.impute(gappy)

    filled = model.impute(table)
    assert filled.index.equals(time)
    np.testing.assert_allclose(filled.to_numpy(), wanted, rtol=1e-12)
    frame = pl.DataFrame({"time": time, "b": table["b"].to_numpy(), "a": table["a"].to_numpy()})
    named = SSMForecaster(horizon=HORIZON, season=24).fit(
        pl.DataFrame({"time": time, "b": known["b"].to_numpy(), "a": known["a"].to_numpy()})[:800]
    )
    filled = named.impute(frame.with_columns(asset=pl.lit("pump")))
    assert filled.columns == ["time", "b", "a", "asset"]
    assert filled["a"].null_count() == 0 and not filled["a"].is_nan().any()


def test_before_the_first_reading_stands_the_level(
    fitted: SSMForecaster, readings: np.ndarray
) -> None:
    """A tag that has not been read yet is filled with the mean of the training readings."""
    X = readings[800:].copy()
    X[:3, 0] = np.nan

    np.testing.assert_allclose(fitted.impute(X)[:3, 0], readings[:800, 0].mean())


def test_what_was_filled_is_counted(
    fitted: SSMForecaster, gappy: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    """A line of the log says how many readings of each tag were made up."""
    caplog.set_level("INFO")
    fitted.impute(gappy)

    assert [record.args for record in caplog.records] == [(86, 2400, {"x0": 21, "x1": 65})]


def test_several_quantiles_are_refused(fitted: SSMForecaster, gappy: np.ndarray) -> None:
    """One value fills a gap, and the first of two is not what was asked for."""
    with pytest.raises(ConfigError, match="wanted one"):
        fitted.impute(gappy, quantile=[0.1, 0.9])  # pyright: ignore[reportArgumentType]
