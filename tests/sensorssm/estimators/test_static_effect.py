"""Numbers that never change help assets of which nothing was read, or are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from sensorssm import SSMDetector, Stepper
from sensorssm.errors import ConfigError, DataError, ModelFileError
from sensorssm.estimators.attempt import Attempt, attempt
from sensorssm.estimators.bending import FittedStatic, StaticEffect
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.estimators.learning import Lesson, Series
from sensorssm.estimators.static_effect import with_static
from sensorssm.models.memory_plan import plan_memory
from sensorssm.models.readout import Sums

ROWS, HORIZON = 600, 12


def swing(size: float, rows: int, seed: int) -> np.ndarray:
    """Return two tags (rows, 2) driven by noise, slower for an asset of a larger size, -1 to 1."""
    noise = np.random.default_rng(seed).standard_normal((rows + 200, 2))
    turn = 2.0 * np.pi / (20.0 * np.exp(size))
    x = np.asarray(lfilter([1.0], [1.0, -1.86 * np.cos(turn), 0.8649], noise, axis=0))[200:]
    return x / x.std()


SIZES = np.linspace(-1.0, 1.0, 10)
STATIC = {f"pump {i}": {"size": float(size), "age": 3.0} for i, size in enumerate(SIZES)}


def fleet(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([swing(size, ROWS, seed) for seed, size in enumerate(sizes)])


ASSETS = np.repeat(list(STATIC), ROWS)


def forecaster() -> SSMForecaster:
    return SSMForecaster(horizon=HORIZON, season=None, lags=4)


@pytest.fixture(scope="module")
def fitted() -> SSMForecaster:
    model = forecaster().fit(fleet(SIZES), groups=ASSETS, static=STATIC)
    return model.introduce({"new": {"age": 9.0, "size": -0.8}})


def error(model: SSMForecaster, X: np.ndarray, asset: str) -> float:
    """Return the mean squared error of forecasts of `X` as those of `asset`."""
    origins = np.arange(100, len(X) - HORIZON - 1, 3)
    told = model.forecast_from(X, origins, groups=np.repeat(asset, len(X)))
    came = np.stack([X[at + 1 : at + 1 + HORIZON] for at in origins])
    return float(((told - came) ** 2).mean())


def test_an_unseen_asset_is_forecast_better_by_its_numbers(fitted: SSMForecaster) -> None:
    """An asset without numbers is forecast by the shared readout."""
    X = swing(-0.8, 3000, seed=100)
    assert fitted.static_gain_ > 0.02
    assert error(fitted, X, "new") < 0.97 * error(fitted, X, "stranger")


def test_numbers_that_say_nothing_change_nothing() -> None:
    """Of assets that are alike the numbers are not kept: all is as without, to the last bit."""
    X = fleet(np.zeros(10))
    model = forecaster().fit(X, groups=ASSETS, static=STATIC)
    without = forecaster().fit(X, groups=ASSETS)

    assert model.static_gain_ == 0.0
    told = [one.forecast(asset="pump 3", quantiles=(0.1, 0.9)) for one in (model, without)]
    np.testing.assert_array_equal(told[0], told[1])


def test_beyond_the_fitted_numbers_nothing_changes_further(fitted: SSMForecaster) -> None:
    X = swing(1.0, 200, seed=5)
    fitted.introduce({"edge": {"size": 1.0, "age": 3.0}, "huge": {"size": 50.0, "age": 3.0}})
    edge, huge = (
        fitted.forecast_from(X, [150], groups=np.repeat(name, 200)) for name in ("edge", "huge")
    )
    np.testing.assert_array_equal(edge, huge)


def learned_attempt() -> tuple[Attempt, np.ndarray]:
    X = fleet(SIZES)
    lesson = Lesson(plan_memory((), len(X), 4), (), HORIZON, X.mean(axis=0))
    series = [Series(rows, np.ones(ROWS), ROWS) for rows in X.reshape(-1, ROWS, 2)]
    return attempt(lesson, series, X.std(axis=0)), SIZES[:, None]


def kept(attempt: Attempt) -> FittedStatic:
    assert attempt.static is not None
    return attempt.static


def test_left_out_rows_are_judged_by_effects_that_had_not_seen_them() -> None:
    shared, numbers = learned_attempt()
    judged = with_static(shared, numbers)
    static = kept(judged)
    np.testing.assert_allclose(judged.residual + judged.told, shared.residual + shared.told)
    assert np.nanmean(judged.residual**2) < 0.99 * np.nanmean(shared.residual**2)
    assert set(static.effects) == set(shared.linears)
    assert all((one.weights != static.effect.weights).any() for one in static.effects.values())


def test_an_asset_has_no_part_in_what_judges_it() -> None:
    """The effect is judged by left-out assets: with sizes dealt out anew it is not kept."""
    shared, numbers = learned_attempt()
    shuffled = numbers[np.random.default_rng(3).permutation(len(numbers))]
    assert with_static(shared, shuffled).static is None


def test_widened_sums_are_sums_of_widened_features() -> None:
    """The oracle multiplies the rows themselves."""
    rng = np.random.default_rng(0)
    z, y, inputs = rng.normal(size=(30, 3)), rng.normal(size=(30, 2)), np.array([1.0, -0.7, 2.0])
    narrow, wide = Sums.empty(1, 1, 3, 2, (2,)), Sums.empty(1, 1, 9, 2, (2,))
    narrow.add(0, 0, z, y, (y**2).sum(axis=0))
    wide.add(0, 0, np.hstack([number * z for number in inputs]), y, (y**2).sum(axis=0))

    found = narrow.widened(inputs)
    for own, wanted in zip(vars(found).values(), vars(wide).values(), strict=True):
        np.testing.assert_allclose(own, wanted, atol=1e-12)
    np.testing.assert_allclose(wide.first(3).zz, narrow.zz, atol=1e-12)
    np.testing.assert_allclose(wide.first(3).zy, narrow.zy, atol=1e-12)


def test_a_readout_bends_in_proportion(fitted: SSMForecaster) -> None:
    """Half of the way from the middle, half of the change."""
    effect, linear = fitted._own.effect, fitted._model.linear
    assert isinstance(effect, StaticEffect)
    full, half = (
        effect.bend(linear, effect.middle + np.array([share, 0.0])).weights - linear.weights
        for share in (0.8, 0.4)
    )
    assert np.abs(full).max() > 1e-3
    np.testing.assert_allclose(full, 2.0 * half, rtol=1e-5, atol=1e-5)  # float32 weights up to 10


def test_online_and_saved_as_in_one_pass(fitted: SSMForecaster, tmp_path: Path) -> None:
    """A stepper and a loaded model forecast new assets by their numbers."""
    X = swing(-0.8, 200, seed=8)
    fitted.save(tmp_path)
    loaded = SSMForecaster.load(tmp_path)
    wanted = fitted.forecast_from(X, [-1], quantiles=(0.1, 0.9), groups=np.repeat("new", 200))
    again = loaded.forecast_from(X, [-1], quantiles=(0.1, 0.9), groups=np.repeat("new", 200))
    np.testing.assert_array_equal(again, wanted)
    assert loaded.static_gain_ == fitted.static_gain_

    stepper = Stepper(SSMDetector().fit(X), loaded, assets=("new",))
    for row in X:
        stepper.step(row)
    np.testing.assert_allclose(stepper.forecast("new", None, (0.1, 0.9)), wanted[0], rtol=1e-12)


def test_fitted_assets_end_where_a_pass_by_their_readout_ends(fitted: SSMForecaster) -> None:
    X = swing(SIZES[0], ROWS, seed=0)
    wanted = fitted.forecast_from(X, [-1], groups=np.repeat("pump 0", ROWS))[0]
    np.testing.assert_allclose(fitted.forecast(asset="pump 0"), wanted, rtol=1e-12)


def test_learning_on_keeps_what_the_numbers_say(fitted: SSMForecaster) -> None:
    model = forecaster().fit(fleet(SIZES), groups=ASSETS, static=STATIC)
    model.introduce({"new": {"age": 9.0, "size": -0.8}})
    later = swing(SIZES[4], ROWS, seed=70)
    model.partial_fit(later, groups=np.repeat("pump 4", ROWS))
    X = swing(-0.8, 3000, seed=100)
    assert model.static_gain_ == fitted.static_gain_
    assert error(model, X, "new") < 0.97 * error(model, X, "stranger")


def test_static_is_refused_where_it_makes_no_sense() -> None:
    X = swing(0.0, 200, seed=1)
    with pytest.raises(DataError, match="single asset"):
        forecaster().fit(X, groups=np.repeat("a", 200), static={"a": {"size": 1.0}})
    with pytest.raises(DataError, match=r"no numbers of \['b'\]"):
        forecaster().fit(X, groups=np.repeat(["a", "b"], 100), static={"a": {"size": 1.0}})
    plain = forecaster().fit(X)
    with pytest.raises(ConfigError, match="without static"):
        plain.introduce({"a": {"size": 1.0}})


def test_a_damaged_effect_is_refused(fitted: SSMForecaster) -> None:
    config, arrays = fitted._to_parts()
    short = {"own.static.weights": arrays["own.static.weights"][:1]}
    with pytest.raises(ModelFileError, match="static effect"):
        SSMForecaster._from_parts(config, arrays | short)
    still = {"own.static.spread": np.zeros(2)}
    with pytest.raises(ModelFileError, match="spreads"):
        SSMForecaster._from_parts(config, arrays | still)
    with pytest.raises(ModelFileError, match="static low"):
        SSMForecaster._from_parts(config, arrays | {"own.static.low": np.zeros(3)})
