"""Known inputs: what they add is learned, kept only where it helps, and nothing is lost without."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sensorssm.errors import ConfigError, DataError, ModelFileError, ShapeError, UnknownTagError
from sensorssm.estimators.covariate_effect import DECAY_STEPS, filtered, learn_effect
from sensorssm.estimators.forecaster import SSMForecaster

QUANTILES = (0.1, 0.5, 0.9)
ROWS, FITTED, HORIZON = 1800, 1200, 12


def plant(rows: int = ROWS, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return readings of two tags and two inputs: the first tag answers the first input at once."""
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.standard_normal(rows // 10 + 1), 10)[:rows]
    U = np.stack([steps, rng.standard_normal(rows).cumsum()], axis=1)
    wave = np.sin(2 * np.pi * np.arange(rows) / 24)
    answering = 50 + wave + 2.0 * U[:, 0] + 0.2 * rng.standard_normal(rows)
    return np.stack([answering, 5 + wave + 0.2 * rng.standard_normal(rows)], axis=1), U


@pytest.fixture(scope="module")
def readings() -> tuple[np.ndarray, np.ndarray]:
    """Return the plant's readings and inputs."""
    return plant()


@pytest.fixture(scope="module")
def fitted(readings: tuple[np.ndarray, np.ndarray]) -> SSMForecaster:
    """Return a forecaster fitted with the inputs."""
    X, U = readings
    return SSMForecaster(horizon=HORIZON, season=24).fit(X[:FITTED], future=U[:FITTED])


def judged(
    model: SSMForecaster, X: np.ndarray, future: object = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return squared errors, coverage and width of the 80 % intervals, each (M,)."""
    origins = np.arange(FITTED, ROWS - HORIZON)
    truth = X[origins[:, None] + np.arange(1, HORIZON + 1)]
    told = model.forecast_from(X, origins, future=future)
    fan = model.forecast_from(X, origins, quantiles=QUANTILES, future=future)
    inside = (truth >= fan[..., 0]) & (truth <= fan[..., 2])
    width = fan[..., 2] - fan[..., 0]
    return ((told - truth) ** 2).mean((0, 1)), inside.mean((0, 1)), width.mean((0, 1))


def test_a_known_future_takes_off_what_it_explains(
    readings: tuple[np.ndarray, np.ndarray], fitted: SSMForecaster
) -> None:
    """The answering tag loses four fifths of its error and half its width; intervals stay honest."""
    X, U = readings
    without, _, wide = judged(fitted, X)
    error, coverage, narrow = judged(fitted, X, U)

    assert error[0] < 0.2 * without[0]
    assert narrow[0] < 0.5 * wide[0]
    assert np.all((coverage > 0.75) & (coverage < 0.90))
    assert fitted.future_gain_["x0"] > 0.8


def test_a_tag_that_does_not_answer_is_left_alone(
    readings: tuple[np.ndarray, np.ndarray], fitted: SSMForecaster
) -> None:
    """Where held-back blocks see no gain nothing is kept, to the last bit."""
    X, U = readings
    told, plain = (fitted.forecast_from(X, [1500], future=u) for u in (U, None))

    assert fitted.future_gain_["x1"] == 0.0
    np.testing.assert_array_equal(told[..., 1], plain[..., 1])
    assert np.abs(told[..., 0] - plain[..., 0]).max() > 0.1


def test_an_unknown_future_leaves_the_plain_forecast(
    readings: tuple[np.ndarray, np.ndarray], fitted: SSMForecaster
) -> None:
    """Without `future`, or with NaN, forecasts are those of a fit that never saw the inputs."""
    X, _ = readings
    plain = SSMForecaster(horizon=HORIZON, season=24).fit(X[:FITTED])
    wanted = plain.forecast_from(X, [1300, 1500], quantiles=QUANTILES)
    nothing = np.full((ROWS, 2), np.nan)

    for future in (None, nothing):
        told = fitted.forecast_from(X, [1300, 1500], quantiles=QUANTILES, future=future)
        np.testing.assert_array_equal(told, wanted)


def test_only_the_inputs_up_to_a_step_count_for_it(
    readings: tuple[np.ndarray, np.ndarray], fitted: SSMForecaster
) -> None:
    """A wild input of step 6 changes no forecast of the steps before, and does change step 6."""
    X, U = readings
    wild = U.copy()
    wild[1500 + 6] += 100.0
    told, other = (fitted.forecast_from(X, [1500], future=u)[0] for u in (U, wild))

    np.testing.assert_array_equal(told[:5], other[:5])
    assert np.abs(told[5, 0] - other[5, 0]) > 10.0


def test_stream_update_and_batch_agree(
    readings: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """Row by row, in chunks, after saving, and in one pass: the same forecast."""
    X, U = readings
    model = SSMForecaster(horizon=HORIZON, season=24).fit(X[:FITTED], future=U[:FITTED])
    end, ahead = 1500, U[1500 : 1500 + HORIZON]
    whole = model.forecast_from(X, [end - 1], quantiles=QUANTILES, future=U)[0]

    stream = model.stream()
    for row, known in zip(X[:end], U[:end], strict=True):
        stream.update(row, future=known)  # pyright: ignore[reportCallIssue]
    told = stream.forecast(quantiles=QUANTILES, future=ahead)  # pyright: ignore[reportCallIssue]
    np.testing.assert_allclose(told, whole, rtol=1e-14)
    again = model.stream()
    again.restore(stream.snapshot())
    np.testing.assert_array_equal(
        again.forecast(quantiles=QUANTILES, future=ahead),  # pyright: ignore[reportCallIssue]
        told,
    )

    for low, high in ((FITTED, 1333), (1333, end)):
        model.update(X[low:high], future=U[low:high])
    # `fit` leaves the calibration at its start, so after it the point forecasts agree; products of
    # another number of rows may round otherwise in the last bit.
    point = model.forecast_from(X, [end - 1], future=U)[0]
    np.testing.assert_allclose(model.forecast(future=ahead), point, rtol=1e-14)
    model.save(tmp_path)
    told = [
        one.forecast(quantiles=QUANTILES, future=ahead) for one in (model, model.load(tmp_path))
    ]
    np.testing.assert_array_equal(*told)


def test_predict_uses_the_input_of_its_own_row(
    readings: tuple[np.ndarray, np.ndarray], fitted: SSMForecaster
) -> None:
    """A row's forecast knows the row's input, so jumps of the input are no surprise."""
    X, U = readings
    with_input, without = (
        np.mean((fitted.predict(X, future=u) - X)[FITTED:, 0] ** 2) for u in (U, None)
    )
    assert with_input < 0.5 * without
    assert fitted.score(X, future=U) > fitted.score(X)


def test_frames_with_times_and_assets(readings: tuple[np.ndarray, np.ndarray]) -> None:
    """Columns are found by name, assets by their rows; times that differ are refused."""
    X, U = readings
    minutes = np.arange(600) * np.timedelta64(1, "m")
    time = pl.Series(np.datetime64("2026-01-01", "us") + minutes)
    parts = [slice(0, 600), slice(600, 1200)]
    frame = pl.concat(
        pl.DataFrame(X[part], schema=["a", "b"]).with_columns(time=time, asset=pl.lit(name))
        for part, name in zip(parts, ("north", "south"), strict=True)
    )
    known = pl.DataFrame(U[:1200], schema=["set", "drift"]).with_columns(
        time=frame["time"], asset=frame["asset"]
    )
    model = SSMForecaster(horizon=HORIZON, season=24).fit(frame, future=known)
    ahead = pl.DataFrame(U[1200:1206], schema=["set", "drift"])

    told = model.forecast(asset="south", future=ahead[["drift", "set"]])
    np.testing.assert_array_equal(told, model.forecast(asset="south", future=ahead))
    assert np.abs(told["a"].to_numpy() - model.forecast(asset="south")["a"].to_numpy()).max() > 0.1
    with pytest.raises(DataError, match="Give both the same times"):
        model.predict(frame, future=known.with_columns(pl.col("time") + pl.duration(minutes=1)))
    late = ahead.with_columns(time=time[:6])
    with pytest.raises(DataError, match="wanted rows after"):
        model.forecast(asset="south", future=late)


def test_what_never_changes_changes_nothing(readings: tuple[np.ndarray, np.ndarray]) -> None:
    """A static input is known by the level already: forecasts are the plain ones."""
    X, _ = readings
    still = np.full((FITTED, 1), 7.0)
    model = SSMForecaster(horizon=HORIZON, season=24).fit(X[:FITTED], future=still)
    plain = SSMForecaster(horizon=HORIZON, season=24).fit(X[:FITTED])

    np.testing.assert_array_equal(model.forecast(future=still[:HORIZON]), plain.forecast())


def test_what_does_not_fit_is_refused(
    readings: tuple[np.ndarray, np.ndarray], fitted: SSMForecaster
) -> None:
    """Each wrong table of inputs gets a reason."""
    X, U = readings
    with pytest.raises(ShapeError, match="wanted one each"):
        fitted.predict(X, future=U[:-1])
    with pytest.raises(ShapeError, match="1 columns, wanted 2"):
        fitted.forecast(future=U[:3, :1])
    with pytest.raises(UnknownTagError, match="'u2'"):
        fitted.forecast(future=pl.DataFrame(U[:3], schema=["u0", "u2"]))
    with pytest.raises(DataError, match="infinite"):
        fitted.forecast(future=np.full((3, 2), np.inf))
    with pytest.raises(DataError, match="no column"):
        SSMForecaster(horizon=2).fit(X[:200], future=U[:200, :0])
    with pytest.raises(DataError, match="no reading of 'u0'"):
        SSMForecaster(horizon=2).fit(X[:200], future=np.full((200, 1), np.nan))
    with pytest.raises(ShapeError, match="one per fitted column"):
        fitted.stream().update(X[0], future=U[0, :1])  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="Fit with future"):
        SSMForecaster(horizon=2).fit(X[:200]).predict(X[:200], future=U[:200])


def test_a_damaged_effect_is_refused(fitted: SSMForecaster, tmp_path: Path) -> None:
    """Weights for another number of tags do not load."""
    config, arrays = fitted._to_parts()
    arrays["known.effect.gain"] = np.zeros(3)
    with pytest.raises(ModelFileError, match="covariates have shapes"):
        SSMForecaster._from_parts(config, arrays)


def test_filters_are_exponential_means(rng: np.random.Generator) -> None:
    """Each filter is the sum over past steps that its decay says."""
    v = rng.standard_normal((2, 9, 3))
    found = filtered(v).reshape(2, 9, 3, len(DECAY_STEPS))
    for j, tau in enumerate(DECAY_STEPS):
        keep = np.exp(-1.0 / tau) if tau else 0.0
        weights = (1 - keep) * keep ** np.arange(9)
        wanted = sum(weights[i] * v[1, 8 - i] for i in range(9))
        np.testing.assert_allclose(found[1, 8, :, j], wanted, rtol=1e-12)


def test_the_effect_is_found_to_its_size(rng: np.random.Generator) -> None:
    """On residuals made by a known kernel the learned one answers a pulse alike."""
    v = rng.standard_normal((800, 10, 1))
    truth = np.array([0.5, 0.0, 0.0, 1.5])  # at once, and slowly
    residual = (filtered(v) @ truth)[..., None] + 0.01 * rng.standard_normal((800, 10, 1))
    residual[rng.random(residual.shape) < 0.1] = np.nan
    effect, left = learn_effect(residual, v, np.repeat(np.arange(4), 200))
    pulse = np.zeros((1, 10, 1))
    pulse[0, 0] = 1.0

    np.testing.assert_allclose(effect.move(pulse)[0, :, 0], (filtered(pulse) @ truth)[0], atol=0.01)
    assert effect.gain[0] > 0.99 and np.nanstd(left) < 0.011


@pytest.mark.parametrize("rows", [2, 3, 6, 40])
def test_few_rows_forecast_without_learning_an_effect(rows: int) -> None:
    """With too few rows to hold any back nothing is kept, and forecasts are finite."""
    X, U = plant(rows)
    model = SSMForecaster(horizon=4).fit(X, future=U)

    told = model.forecast(quantiles=QUANTILES, future=U[:2])
    assert np.isfinite(told).all()
    assert set(model.future_gain_.values()) == {0.0}


def test_uneven_times_and_validation_rows() -> None:
    """Inputs lie beside their readings on any clock, and go on beside the rows of `X_val`."""
    X, U = plant(900)
    rng = np.random.default_rng(1)
    time = np.datetime64("2026-01-01", "s") + np.cumsum(rng.integers(50, 70, 900)).astype("m8[s]")
    model = SSMForecaster(horizon=6, season=24).fit(X, times=time, future=U)
    with_input, without = (model.score(X, times=time, future=u) for u in (U, None))
    assert model.future_gain_["x0"] > 0.3 and with_input > without

    later = SSMForecaster(horizon=6, season=24).fit(X[:600], X_val=X[600:], future=U)
    told = later.forecast(future=U[-6:]) - later.forecast()
    assert np.abs(told[:, 0]).max() > 0.1


def timed(rows: int, readings: tuple[np.ndarray, np.ndarray]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the first rows of the readings, and all inputs, as frames with minutes."""
    X, U = readings
    time = pl.datetime_range(
        datetime(2026, 1, 1), datetime(2026, 1, 1) + timedelta(minutes=len(X) - 1), "1m", eager=True
    )
    known = pl.DataFrame({"time": time, "speed": U[:, 0], "load": U[:, 1]})
    return pl.DataFrame({"time": time, "a": X[:, 0], "b": X[:, 1]})[:rows], known


def test_a_plan_with_a_gap_is_refused(readings: tuple[np.ndarray, np.ndarray]) -> None:
    """Rows that start late or skip a step would count for other steps than they were made for."""
    X, known = timed(600, readings)
    model = SSMForecaster(horizon=6, season=None).fit(X, future=known[:600])
    whole = model.forecast(future=known[600:])

    for gappy in (known[603:], known[600::2], pl.concat([known[600:602], known[604:]])):
        with pytest.raises(DataError, match="wanted a row for each step"):
            model.forecast(future=gappy)
        with pytest.raises(DataError, match="wanted a row for each step"):
            model.forecast_from(X, [-1], future=pl.concat([known[:600], gappy]))
    assert model.forecast(future=known[600:]).equals(whole)
    assert len(model.forecast(future=known[:0])) == 6


def test_a_plan_across_a_gap_before_the_choosing_rows_is_refused(
    readings: tuple[np.ndarray, np.ndarray],
) -> None:
    """Inputs that go on after X would lie beside other rows of X_val than they were made for."""
    X, known = timed(600, readings)
    plan = pl.concat([known[:500], known[540:600]])
    with pytest.raises(DataError, match="wanted a row for each step"):
        SSMForecaster(horizon=6, season=None).fit(X[:500], X_val=X[540:], future=plan)


def test_learning_on_with_a_bad_plan_learns_nothing(
    readings: tuple[np.ndarray, np.ndarray],
) -> None:
    """A refused plan leaves the sums as they were: trying again counts no row twice."""
    X, U = readings
    tried, once = (
        SSMForecaster(horizon=6, season=24).fit(X[:600], future=U[:600]) for _ in range(2)
    )
    with pytest.raises(ShapeError, match="wanted one each"):
        tried.partial_fit(X[600:900], future=U[600:700])
    for model in (tried, once):
        model.partial_fit(X[600:900], future=U[600:900])
    np.testing.assert_array_equal(tried.forecast(), once.forecast())


def test_a_plan_of_another_asset_is_refused(readings: tuple[np.ndarray, np.ndarray]) -> None:
    """Inputs in another order of assets than the readings, or of many ahead, are no plan."""
    X, known = timed(400, readings)
    fleet = pl.concat([X.with_columns(asset=pl.lit(name)) for name in ("p1", "p2")])
    plans = [known[:400].with_columns(asset=pl.lit(name)) for name in ("p1", "p2")]
    model = SSMForecaster(horizon=6, season=None).fit(fleet, future=pl.concat(plans))

    with pytest.raises(DataError, match=r"rows of \['p2'\] where the readings are of 'p1'"):
        SSMForecaster(horizon=6, season=None).fit(fleet, future=pl.concat(plans[::-1]))
    ahead = pl.concat([known[400:].with_columns(asset=pl.lit(name)) for name in ("p1", "p2")])
    with pytest.raises(DataError, match="wanted those of one asset"):
        model.forecast(asset="p1", future=ahead)


@pytest.mark.parametrize("elapsed", [np.nan, np.inf, 0.0, -1.0, 2.0**53])
def test_a_stream_refuses_time_that_does_not_move_on(
    readings: tuple[np.ndarray, np.ndarray], fitted: SSMForecaster, elapsed: float
) -> None:
    """With known inputs and without; the next reading is read as if nothing had been."""
    plain = SSMForecaster(horizon=6, season=None).fit(readings[0][:300])
    for stream in (fitted.stream(), plain.stream()):
        before = stream.snapshot()
        with pytest.raises(DataError, match="elapsed="):
            stream.update([50.0, 5.0], elapsed)
        after = stream.snapshot()
        assert all(np.array_equal(before[name], after[name]) for name in before)
