"""Learning on: later rows add up to what all rows at once would have taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sensorssm.errors import ConfigError
from sensorssm.estimators.attempt import attempt
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.estimators.growth import Growth
from sensorssm.estimators.learning import Lesson, Series
from sensorssm.models.memory_plan import plan_memory


def readings(rows: int) -> np.ndarray:
    """Return two seasonal tags with holes."""
    rng = np.random.default_rng(4)
    wave = np.sin(np.arange(rows) * np.pi / 6)
    X = np.stack([wave, -wave], axis=1) + 0.3 * rng.standard_normal((rows, 2))
    X[rng.random(X.shape) < 0.05] = np.nan
    return X


@pytest.mark.parametrize("cuts", [(1750,), (1750, 1751, 1755, 1900), (1970,)])
def test_sums_of_parts_are_sums_of_the_whole(cuts: tuple[int, ...]) -> None:
    """Any cuts, even shorter than the horizon, give the sums of one pass over all rows."""
    X = readings(2000)
    lesson = Lesson(plan_memory((12,), 2000, 4), (12,), 24, np.nanmean(X, axis=0))
    whole = attempt(lesson, [Series(X, np.ones(2000), 2000)], np.ones(2))
    first = attempt(lesson, [Series(X[: cuts[0]], np.ones(cuts[0]), cuts[0])], np.ones(2))

    growth = Growth(first, ["pump"])
    for low, high in zip(cuts, (*cuts[1:], 2000), strict=True):
        growth.read("pump", X[low:high], np.ones(high - low))

    np.testing.assert_array_equal(growth._sums.rows, whole.sums.rows)
    # The same products in other groups: rounding only, of sums of about 2000 terms.
    np.testing.assert_allclose(growth._sums.zz, whole.sums.zz, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(growth._sums.zy, whole.sums.zy, rtol=1e-9, atol=1e-9)


def test_later_rows_of_an_asset_count_as_its_first_ones_did() -> None:
    """In a fleet each asset counts in its own standard deviations, when it learns on too."""
    X = readings(600)
    lesson = Lesson(plan_memory((12,), 1000, 4), (12,), 24, np.zeros(2))
    swings = {"quiet": 1.0, "loud": 10.0}
    series = [Series(swing * X[:500], np.ones(500), 500) for swing in swings.values()]
    added = []
    for asset, swing in swings.items():
        growth = Growth(attempt(lesson, series, np.ones(2)), [*swings])
        before = growth._sums.zy.copy()
        growth.read(asset, swing * X[500:], np.ones(100))
        added.append(growth._sums.zy - before)

    # Swings ten times as large are ten times the features and targets: rounding apart, the same.
    np.testing.assert_allclose(added[0], added[1], rtol=1e-6, atol=1e-6 * np.abs(added[0]).max())


def test_learning_on_helps_and_goes_on_where_it_ended() -> None:
    """After `partial_fit` forecasts start after the new rows, with other weights than before."""
    X = readings(1200)
    model = SSMForecaster(horizon=12, season=12).fit(X[:600])
    before = model._model.linear.weights.copy()
    model.partial_fit(X[600:])

    assert (model._model.linear.weights != before).any()
    state, end = *model._states.values(), model._model.start()
    model._model.advance(X, np.ones(1200), end, np.zeros(0, dtype=np.int64))
    for own, wanted in zip(state.memory, end.memory, strict=True):
        np.testing.assert_array_equal(own, wanted)
    # The first 600 rows were told by other weights, so forecasts reach a little less far, or more.
    np.testing.assert_allclose(model.forecast(), model.forecast_from(X, [-1])[0], atol=0.05)


def test_the_first_call_is_a_fit() -> None:
    """`partial_fit` on a fresh estimator is `fit`."""
    X = readings(400)
    first = SSMForecaster(horizon=6, season=12).partial_fit(X)

    np.testing.assert_array_equal(
        first.forecast(), SSMForecaster(horizon=6, season=12).fit(X).forecast()
    )


def test_a_loaded_model_says_that_it_cannot_learn_on(tmp_path: Path) -> None:
    """The folder does not hold the sums; the error says what can be done instead."""
    X = readings(400)
    SSMForecaster(horizon=6, season=12).fit(X).save(tmp_path)
    loaded = SSMForecaster.load(tmp_path)

    with pytest.raises(ConfigError, match=r"Call update\(\)"):
        loaded.partial_fit(X)


def test_chunks_of_a_lazy_frame_teach_what_one_chunk_does() -> None:
    """After the first month, months of a lazy frame give the weights of one table of all of them."""
    frame = pl.DataFrame(readings(1500), schema=["a", "b"]).lazy()
    whole, chunked = (SSMForecaster(horizon=12, season=12).fit(frame.slice(0, 600)) for _ in "ab")
    whole.partial_fit(frame.slice(600))
    for at in range(600, 1500, 130):
        chunked.partial_fit(frame.slice(at, 130))

    one, many = whole._model.linear.weights, chunked._model.linear.weights
    assert np.abs(one).max() > 0.1
    # The same products in other groups, solved in float64 and kept in float32.
    np.testing.assert_allclose(many, one, rtol=1e-5, atol=1e-6)
    # Forecasts on the way came from other weights, so that they reach a little further, or less far.
    np.testing.assert_allclose(chunked.forecast(), whole.forecast(), atol=0.05)
