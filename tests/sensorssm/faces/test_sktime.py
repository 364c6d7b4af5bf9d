"""The sktime face keeps sktime's contract, and is the forecaster underneath."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sktime.utils.estimator_checks import check_estimator

from sensorssm import SSMForecaster as Own
from sensorssm.errors import ConfigError
from sensorssm.faces.sktime import SSMForecaster


@pytest.fixture(scope="module")
def readings() -> pd.DataFrame:
    """Return 300 hours of two daily waves."""
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(300) / 24)
    values = np.stack([20 + 3 * wave, 5 - wave], axis=1) + 0.1 * rng.standard_normal((300, 2))
    index = pd.date_range("2026-01-01", periods=300, freq="h")
    return pd.DataFrame(values, index=index, columns=["temperature", "flow"])


@pytest.mark.slow
def test_sktimes_own_checks_pass() -> None:
    """Everything that the tags claim, for each set of test parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sktime's own
        results = check_estimator(SSMForecaster, raise_exceptions=False)

    assert len(results) > 300
    assert {name: found for name, found in results.items() if found != "PASSED"} == {}


def test_forecasts_are_the_forecasters_own(readings: pd.DataFrame) -> None:
    """Points and quantiles are those of the estimator, on the right times and columns."""
    train, test = readings[:-12], readings[-12:]
    face = SSMForecaster(horizon=24, season=24).fit(train)
    own = Own(horizon=24, season=24).fit(train.to_numpy())

    told = face.predict(fh=[1, 3, 12])
    np.testing.assert_array_equal(told, own.forecast()[[0, 2, 11]])
    assert told.index.equals(test.index[[0, 2, 11]]) and [*told] == ["temperature", "flow"]
    fan = face.predict_quantiles(fh=[2], alpha=[0.9, 0.1])
    assert fan.columns.to_list() == [
        (name, level) for name in ("temperature", "flow") for level in (0.9, 0.1)
    ]
    wanted = own.forecast(quantiles=(0.1, 0.9))[1][:, ::-1].ravel()
    np.testing.assert_array_equal(fan.iloc[0], wanted)


def test_rows_seen_are_forecast_from_the_rows_before(readings: pd.DataFrame) -> None:
    """A horizon within the series gives `predict`, also after an update."""
    face = SSMForecaster(horizon=6, season=24).fit(readings[:250])
    face.update(readings[240:], update_params=False)
    own = Own(horizon=6, season=24).fit(readings[:250].to_numpy())

    told = face.predict(fh=[-49, -1, 0, 1])
    seen = own.predict(readings.to_numpy())
    np.testing.assert_array_equal(told[:3], seen[[250, 298, 299]])
    np.testing.assert_allclose(told.iloc[3], own.forecast_from(readings.to_numpy(), [-1])[0, 0])


def test_an_update_learns_where_it_is_asked_to() -> None:
    """`update_params` decides whether later rows change the weights; the end moves on either way."""
    rng = np.random.default_rng(4)
    wave = np.sin(np.arange(1200) * np.pi / 6) + 0.3 * rng.standard_normal(1200)
    series = pd.Series(wave)
    told = {}
    for learn in (False, True):
        face = SSMForecaster(horizon=6, season=12).fit(series[:600])
        told[learn] = face.update(series[600:], update_params=learn).predict(fh=[1, 2, 3])
    own = Own(horizon=6, season=12).fit(wave[:600, None])
    own.partial_fit(wave[600:, None])

    np.testing.assert_array_equal(told[True], own.forecast()[:3, 0])
    assert (told[True] != told[False]).all()


def test_exogenous_columns_are_known_futures(readings: pd.DataFrame) -> None:
    """A jump of the input that is told in advance is told in the forecast."""
    rng = np.random.default_rng(1)
    plan = pd.DataFrame({"plan": np.repeat(rng.standard_normal(60), 5)}, index=readings.index)
    answering = readings + 4.0 * plan.to_numpy()
    face = SSMForecaster(horizon=12, season=24).fit(answering[:280], X=plan[:280])
    truth = answering.iloc[280:292].to_numpy()

    told = face.predict(fh=np.arange(1, 13), X=plan[280:292]).to_numpy()
    blind = Own(horizon=12, season=24).fit(answering[:280].to_numpy()).forecast()
    assert np.abs(told - truth).mean() < 0.5 * np.abs(blind - truth).mean()


def test_updates_may_come_without_known_inputs(readings: pd.DataFrame) -> None:
    """Rows of which no input is told lie between others of which it is, and nothing is lost."""
    plan = pd.DataFrame({"plan": np.repeat([1.0, -1.0], 150)}, index=readings.index)
    plan += np.random.default_rng(2).standard_normal(plan.shape)
    answering = readings + 4.0 * plan.to_numpy()
    face = SSMForecaster(horizon=6, season=24).fit(answering[:240], X=plan[:240])
    face.update(answering[240:260], update_params=False)
    face.update(answering[260:280], X=plan[260:280], update_params=False)
    told = face.predict(fh=[-10, 1], X=plan[280:286])

    known = plan.to_numpy().copy()
    known[240:260] = np.nan
    own = Own(horizon=6, season=24).fit(answering[:240].to_numpy(), future=plan[:240].to_numpy())
    wanted = own.predict(answering[:280].to_numpy(), future=known[:280])[269]
    np.testing.assert_array_equal(told.iloc[0], wanted)
    ahead = own.forecast_from(answering[:280].to_numpy(), [-1], future=known[:286])[0, 0]
    np.testing.assert_allclose(told.iloc[1], ahead, rtol=1e-9)


@pytest.mark.parametrize(("step", "message"), [(7, "beyond horizon=6"), (-50, "before the first")])
def test_steps_out_of_reach_are_refused_by_name(
    readings: pd.DataFrame, step: int, message: str
) -> None:
    """Neither what is too far ahead nor what lies before the series can be told."""
    face = SSMForecaster(horizon=6, season=24).fit(readings[:50])
    with pytest.raises(ConfigError, match=message):
        face.predict(fh=[step])


def test_settings_default_to_the_forecasters_own() -> None:
    """Who changes nothing gets the same model by either door."""
    own = Own().get_params()
    assert {
        name: own[name] for name in SSMForecaster().get_params()
    } == SSMForecaster().get_params()
