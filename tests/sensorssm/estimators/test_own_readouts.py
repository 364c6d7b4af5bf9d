"""Assets that behave otherwise get readouts of their own; all others keep the shared one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorssm import SSMDetector, Stepper
from sensorssm.errors import ModelFileError
from sensorssm.estimators.attempt import Attempt, attempt
from sensorssm.estimators.fitting import fit_model
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.estimators.learning import Lesson, Series, learn
from sensorssm.estimators.leftover import left_of
from sensorssm.estimators.own_readouts import bent, with_own_readouts
from sensorssm.estimators.selection import training_sums
from sensorssm.estimators.targets import Targets
from sensorssm.models.memory_plan import plan_memory

ROWS, HORIZON = 1500, 12


def swing(period: float, rows: int, seed: int) -> np.ndarray:
    """Return two tags (rows, 2) that swing with a period of their own, driven by noise."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((rows + 200, 2))
    x = np.zeros_like(noise)
    for t in range(2, len(x)):
        x[t] = 1.86 * np.cos(2 * np.pi / period) * x[t - 1] - 0.8649 * x[t - 2] + noise[t]
    return x[200:] / x.std()


def fleet(periods: dict[str, float], rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Return the readings of all assets and whose they are."""
    parts = [swing(period, rows, seed) for seed, period in enumerate(periods.values())]
    return np.concatenate(parts), np.repeat(list(periods), rows)


def forecaster() -> SSMForecaster:
    return SSMForecaster(horizon=HORIZON, season=None, lags=4)


def error(model: SSMForecaster, X: np.ndarray, asset: str) -> float:
    """Return the mean squared error of forecasts of `X` as those of `asset`."""
    origins = np.arange(100, len(X) - HORIZON - 1, 3)
    told = model.forecast_from(X, origins, groups=np.repeat(asset, len(X)))
    came = np.stack([X[at + 1 : at + 1 + HORIZON] for at in origins])
    return float(((told - came) ** 2).mean())


PERIODS = {"slow": 60.0, "middle": 25.0, "fast": 8.0}


@pytest.fixture(scope="module")
def fitted() -> SSMForecaster:
    X, assets = fleet(PERIODS)
    return forecaster().fit(X, groups=assets)


def test_assets_with_periods_of_their_own_are_forecast_better(fitted: SSMForecaster) -> None:
    """On rows that no fit has seen; an unknown asset is forecast by the shared readout."""
    for asset in ("slow", "fast"):
        unseen = swing(PERIODS[asset], ROWS, seed=100)
        assert fitted.own_gain_[asset] > 0.05
        assert error(fitted, unseen, asset) < 0.95 * error(fitted, unseen, "stranger")


def test_assets_that_are_alike_share_to_the_last_bit() -> None:
    X, assets = fleet({"a": 20.0, "b": 20.0, "c": 20.0, "d": 20.0})
    model = forecaster().fit(X, groups=assets)
    series = [Series(rows, np.ones(ROWS), ROWS) for rows in X.reshape(4, ROWS, 2)]
    shared = fit_model(series, horizon=HORIZON, seasons=[()], lags=4).model

    assert model.own_gain_ == dict.fromkeys("abcd", 0.0)
    np.testing.assert_array_equal(model._model.linear.weights, shared.linear.weights)
    np.testing.assert_array_equal(model._model.conformal.offsets, shared.conformal.offsets)


def test_an_asset_of_few_rows_keeps_the_shared_readout() -> None:
    """Fifty rows tell too little; the asset is forecast as an unknown one is."""
    X, assets = fleet(PERIODS)
    young = swing(20.0, 50, seed=9)
    X, assets = np.concatenate([young, X]), np.r_[np.repeat("young", 50), assets]
    model = forecaster().fit(X, groups=assets)

    assert model.own_gain_["young"] == 0.0
    assert model.own_gain_["slow"] > 0.0
    young_told, told = (
        model.forecast_from(young, [30, 49], groups=np.repeat(name, 50)) for name in ("young", "x")
    )
    np.testing.assert_array_equal(young_told, told)


def learned_attempt(periods: dict[str, float]) -> Attempt:
    X, _ = fleet(periods)
    lesson = Lesson(plan_memory((), len(X), 4), (), HORIZON, X.mean(axis=0))
    series = [Series(rows, np.ones(ROWS), ROWS) for rows in X.reshape(-1, ROWS, 2)]
    return attempt(lesson, series, X.std(axis=0))


@pytest.fixture(scope="module")
def shared() -> Attempt:
    return learned_attempt({"slow": 60.0, "fast": 8.0})


def rows_of(shared: Attempt, asset: int, tag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features and what the shared forecast leaves of the targets, of all taught rows."""
    one, lesson = shared.series[asset], shared.lesson
    rows = np.flatnonzero(shared.plans[asset] >= 0)
    features, _ = lesson.memory.run(
        one.values, one.elapsed, lesson.memory.init_state(lesson.start), rows=rows
    )
    wanted = Targets.of(one.values, one.elapsed).after(rows, HORIZON, tag)
    return features.z[tag], wanted - shared.linear.forecast_tag(features, tag, HORIZON)


def test_a_bent_readout_is_the_ridge_of_what_the_shared_one_leaves(shared: Attempt) -> None:
    """The oracle stacks the rows, and the strength as rows that say 0, into least squares."""
    asset, tag, strength = 1, 1, 700.0
    z, left = rows_of(shared, asset, tag)
    sums = training_sums(learn(shared.lesson, [shared.series[asset]]))
    size = np.sqrt((z**2).mean(axis=0))
    stacked = np.vstack([z, np.sqrt(strength) * np.diag(size)])
    wanted = np.vstack([left, np.zeros((z.shape[1], HORIZON))])
    oracle = np.linalg.lstsq(stacked, wanted, rcond=None)[0]

    own = bent(shared.linear, sums, strength, shared.scale)
    added = own.weights[tag].astype(np.float64) - shared.linear.weights[tag]
    # Weights are kept in float32, and most of one is shared.
    np.testing.assert_allclose(added, oracle, atol=1e-6 * np.abs(oracle).max() + 1e-7)


def test_errors_follow_from_the_sums(shared: Attempt) -> None:
    """The squared error that is judged is the one of the rows."""
    asset, tag = 0, 0
    z, left = rows_of(shared, asset, tag)
    sums = training_sums(learn(shared.lesson, [shared.series[asset]]))
    part = left_of(shared.linear, sums, 0, tag, shared.scale)
    weights = np.random.default_rng(0).normal(size=(z.shape[1], HORIZON)) / 10

    np.testing.assert_allclose(part.yy, (left**2).sum(axis=0), rtol=1e-6)
    found = part.squared_error(weights[:, 1::3], slice(1, None, 3))
    wanted = ((left - z @ weights)[:, 1::3] ** 2).sum()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_kept_rows_are_judged_by_readouts_that_had_not_seen_them(shared: Attempt) -> None:
    """Residuals fall for the assets that keep their own, and truth stays what it was."""
    own = with_own_readouts(shared)
    assert set(own.own) == {0, 1}
    np.testing.assert_allclose(own.residual + own.told, shared.residual + shared.told, atol=1e-9)
    assert np.nanmean(own.residual**2) < 0.97 * np.nanmean(shared.residual**2)
    first = own.own[0]
    assert all((one.weights != first.linear.weights).any() for one in first.linears.values())


def test_only_so_much_memory_is_taken(shared: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one readout, the asset that gains most has it."""
    both = with_own_readouts(shared).own
    room = sum(part.size for part in vars(shared.sums).values())
    monkeypatch.setattr("sensorssm.estimators.own_readouts.MOST_FLOATS", room)
    one = with_own_readouts(shared).own
    assert list(one) == [max(both, key=lambda asset: both[asset].gain)]


def test_one_asset_has_nothing_to_share() -> None:
    alone = learned_attempt({"only": 20.0})
    assert with_own_readouts(alone) is alone


def test_online_equals_batch_for_every_asset(fitted: SSMForecaster) -> None:
    """A stepper forecasts each asset by its own readout, as `forecast_from` does."""
    X, assets = fleet(PERIODS, rows=300)
    detector = SSMDetector().fit(X)
    stepper = Stepper(detector, fitted, assets=("slow", "stranger"))
    for row in X[assets == "slow"]:
        stepper.step(row, asset="slow")
        stepper.step(row, asset="stranger")

    for name in ("slow", "stranger"):
        batch = fitted.forecast_from(
            X[assets == "slow"], [-1], quantiles=(0.1, 0.9), groups=np.repeat(name, 300)
        )
        online = stepper.forecast(name, quantiles=(0.1, 0.9))
        np.testing.assert_allclose(online, batch[0], rtol=1e-12)
    assert (stepper.forecast("slow") != stepper.forecast("stranger")).any()


def test_updates_and_streams_go_on_by_the_own_readout(
    fitted: SSMForecaster, tmp_path: Path
) -> None:
    """A loaded model, moved on, forecasts as a pass over all rows; so does a stream."""
    fitted.save(tmp_path)
    X = np.concatenate([swing(8.0, ROWS, seed=2), later := swing(8.0, 40, seed=50)])
    model = SSMForecaster.load(tmp_path).update(later, groups=np.repeat("fast", 40))
    stream = fitted.stream("fast")
    for row in later:
        stream.update(row)

    wanted = fitted.forecast_from(X, [-1], groups=np.repeat("fast", len(X)))[0]
    assert model.own_gain_ == fitted.own_gain_
    np.testing.assert_allclose(model.forecast(asset="fast"), wanted, rtol=1e-12)
    np.testing.assert_allclose(stream.forecast(), wanted, rtol=1e-12)


def test_a_damaged_readout_is_refused(fitted: SSMForecaster) -> None:
    config, arrays = fitted._to_parts()
    with pytest.raises(ModelFileError, match="readout of asset 'slow'"):
        SSMForecaster._from_parts(config, arrays | {"own.0": arrays["own.0"][:, :-1]})


def test_an_explained_forecast_is_the_assets_own(fitted: SSMForecaster) -> None:
    X = swing(8.0, 200, seed=7)
    told = fitted.explain_forecast(X, groups=np.repeat("fast", 200), past=200)
    wanted = fitted.forecast_from(X, [-1], groups=np.repeat("fast", 200))[0]
    np.testing.assert_allclose(told.forecast, wanted, rtol=1e-12)
    parts = told.level + told.contributions.sum(axis=1) + told.older
    np.testing.assert_allclose(parts, wanted, atol=1e-9)


def test_learning_on_teaches_an_assets_own_readout() -> None:
    """Later rows give the weights that all rows at once would have given, as settings stay."""
    X, assets = fleet({"slow": 60.0, "fast": 8.0}, rows=3 * ROWS)
    first = np.tile(np.arange(3 * ROWS) < ROWS, 2)
    model = forecaster().fit(X[first], groups=assets[first])
    before = {name: one.linear.weights for name, one in model._own.models.items()}
    unseen = swing(8.0, ROWS, seed=100)
    old = error(model, unseen, "fast")
    model.partial_fit(X[~first], groups=assets[~first])

    assert set(before) == set(model._own.models) == {"slow", "fast"}
    assert all((model._own.models[name].linear.weights != before[name]).any() for name in before)
    assert error(model, unseen, "fast") < old


def test_walks_that_seem_to_return_keep_no_readouts_of_their_own() -> None:
    walks = np.random.default_rng(3).standard_normal((6, 400, 2)).cumsum(axis=1)
    assets = np.repeat([f"walk {i}" for i in range(len(walks))], walks.shape[1])
    model = SSMForecaster(horizon=24, season=None, lags=4).fit(walks.reshape(-1, 2), groups=assets)
    assert set(model.own_gain_.values()) == {0.0}
