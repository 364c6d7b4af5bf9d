"""What every estimator obeys: scikit-learn's contract, and the claims that a recurrence adds.

A recurrence answers by what came before, so two of scikit-learn's checks cannot hold: shuffling
rows or cutting them into subsets changes the past. Prefix, causality and chunk checks stand in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from sensorssm.errors import DataError
from sensorssm.estimators.baselines import EWMA, SeasonalNaive
from sensorssm.estimators.detector import SSMDetector
from sensorssm.estimators.dlinear import DLinear
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.estimators.neural import NeuralForecaster

ORDER = {
    "check_methods_sample_order_invariance": "the order of rows is time",
    "check_methods_subset_invariance": "an answer depends on the rows before it",
}
TINY = {"horizon": 12, "lags": 4, "width": 8, "layers": 1, "steps": 2, "batch": 2, "segment": 24}
FORECASTERS = [
    SSMForecaster(horizon=12, season=24),
    SeasonalNaive(season=24, horizon=12),
    EWMA(span=12, horizon=12),
    DLinear(context=24, horizon=12),
    NeuralForecaster(**TINY),
]
ALL = [*FORECASTERS, SSMDetector()]


def expected_failures(estimator: Any) -> dict[str, str]:
    """Return the checks that a recurrence cannot pass, with the reason."""
    # It repeats single rows, so the small data of these checks never show it the past.
    return {} if isinstance(estimator, SeasonalNaive) else ORDER


@parametrize_with_checks(
    [
        SSMForecaster(),
        SeasonalNaive(),
        EWMA(),
        SSMDetector(false_alarm_rate=0.05),  # these checks want some of 300 rows to be outliers
        DLinear(context=4, horizon=2),
        NeuralForecaster(**TINY),
    ],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_scikit_learn_contract(estimator: Any, check: Any) -> None:
    """scikit-learn's own checks pass, but for the two that deny time."""
    check(estimator)


def assert_same(estimator: Any, found: np.ndarray, wanted: np.ndarray) -> None:
    """Assert equality to the last bit, but for networks and other matrix products.

    A product of more rows at once adds up in another order: float32 keeps 7 digits of each
    intermediate, of which the contract leaves the network 5.
    """
    if isinstance(estimator, NeuralForecaster | DLinear):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    else:
        np.testing.assert_array_equal(found, wanted)


def by_name(estimators: list[Any]) -> Any:
    """Parametrize a test over estimators."""
    return pytest.mark.parametrize("estimator", estimators, ids=lambda e: type(e).__name__)


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    """Return 600 rows of two seasonal tags, with holes."""
    rng = np.random.default_rng(7)
    rows = np.arange(600)
    wave = np.sin(2 * np.pi * rows / 24)
    values = np.stack([20 + 3 * wave, 5 - wave], axis=1) + 0.3 * rng.standard_normal((600, 2))
    values[rng.random(values.shape) < 0.05] = np.nan
    return values


def rows_of(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Return what the estimator says of each row."""
    said = estimator.anomaly_score(X) if hasattr(estimator, "anomaly_score") else None
    return np.asarray(estimator.predict(X) if said is None else said)


@by_name(ALL)
def test_prefix(estimator: Any, readings: np.ndarray) -> None:
    """What is said of the first rows does not depend on whether more rows follow."""
    fitted = clone(estimator).fit(readings)

    assert_same(fitted, rows_of(fitted, readings[:333]), rows_of(fitted, readings)[:333])


@by_name(ALL)
def test_causality(estimator: Any, readings: np.ndarray) -> None:
    """Rows from 400 on, however wild, change nothing that was said before."""
    fitted = clone(estimator).fit(readings)
    wild = readings.copy()
    wild[400:] = 1e6

    np.testing.assert_array_equal(rows_of(fitted, wild)[:400], rows_of(fitted, readings)[:400])


@by_name(FORECASTERS)
@pytest.mark.parametrize("cuts", [(1,), (199,), (1, 2, 65, 400)])
def test_chunks(estimator: Any, readings: np.ndarray, cuts: tuple[int, ...]) -> None:
    """Reading on in chunks ends in the forecast that one pass over all rows gives."""
    fitted = clone(estimator).fit(readings[:200])
    whole = fitted.forecast_from(readings, [599], quantiles=(0.1, 0.5, 0.9))[0]

    chunked = clone(estimator).fit(readings[:200])
    if hasattr(chunked, "stream"):
        chunked = chunked.stream()
        for row in readings:
            chunked.update(row)
    else:
        for part in np.split(readings[200:], [cut for cut in cuts if cut < 400]):
            chunked.update(part)

    assert_same(fitted, chunked.forecast(quantiles=(0.1, 0.5, 0.9)), whole)


@by_name(ALL)
def test_save_and_load(estimator: Any, readings: np.ndarray, tmp_path: Path) -> None:
    """A model that was saved and loaded says the same, and has the same parameters."""
    fitted = clone(estimator).fit(readings)
    fitted.save(tmp_path / "model")
    loaded = type(estimator).load(tmp_path / "model")

    np.testing.assert_array_equal(rows_of(loaded, readings), rows_of(fitted, readings))
    assert loaded.get_params() == fitted.get_params()
    if hasattr(fitted, "forecast"):
        np.testing.assert_array_equal(loaded.forecast(), fitted.forecast())


@by_name(ALL)
def test_fit_refuses_readings_whose_squares_overflow(estimator: Any, readings: np.ndarray) -> None:
    """A filler of 1e300 is named, and does not end in forecasts that are no numbers."""
    filled = readings.copy()
    filled[100, 1] = -1e300

    with pytest.raises(DataError, match="tag 'x1' reads 1e"):
        clone(estimator).fit(filled)


@by_name(ALL)
def test_fit_leaves_its_input_alone(estimator: Any, readings: np.ndarray) -> None:
    """Fitting changes neither the readings nor the parameters, and returns the estimator."""
    before, params, own = readings.copy(), estimator.get_params(), clone(estimator)

    assert own.fit(readings) is own
    np.testing.assert_array_equal(readings, before)
    assert own.get_params() == params


@by_name(ALL)
def test_pipeline_with_times_and_groups(estimator: Any, readings: np.ndarray) -> None:
    """Times and assets are routed through a Pipeline when they are requested."""
    times = np.datetime64("2026-01-01") + np.arange(600) * np.timedelta64(1, "h")
    groups = np.repeat(["north", "south"], 300)
    with config_context(enable_metadata_routing=True):
        requested = clone(estimator).set_fit_request(times=True, groups=True)
        pipe = Pipeline([("same", FunctionTransformer()), ("model", requested)])
        pipe.fit(readings, times=times, groups=groups)

    assert pipe["model"].period_s_ == 3600.0


@by_name(FORECASTERS)
def test_grid_search_over_time(estimator: Any, readings: np.ndarray) -> None:
    """GridSearchCV with TimeSeriesSplit picks a horizon by the estimator's own score."""
    search = GridSearchCV(
        clone(estimator), {"horizon": [6, 12]}, cv=TimeSeriesSplit(2), error_score="raise"
    ).fit(readings)

    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.best_params_["horizon"] in (6, 12)


def test_cross_validate_routes_times(readings: np.ndarray) -> None:
    """cross_validate hands each fold its own times."""
    times = np.datetime64("2026-01-01") + np.arange(600) * np.timedelta64(1, "h")
    with config_context(enable_metadata_routing=True):
        model = SSMForecaster(horizon=6, season=24)
        model.set_fit_request(times=True).set_score_request(times=True)
        result = cross_validate(
            model, readings, cv=TimeSeriesSplit(2), params={"times": times}, error_score="raise"
        )

    assert np.all(np.isfinite(result["test_score"]))
