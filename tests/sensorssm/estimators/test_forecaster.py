"""SSMForecaster: right on what is easy, safe on what is not, the same offline and online."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from sensorssm.errors import ConfigError, DataError, ModelFileError, ShapeError
from sensorssm.estimators.baselines import SeasonalNaive
from sensorssm.estimators.forecaster import SSMForecaster

QUANTILES = (0.1, 0.5, 0.9)


def seasonal(rows: int, rng: np.random.Generator, noise: float = 0.3) -> np.ndarray:
    """Return two tags, far apart in size, with a season of 24."""
    wave = np.sin(2 * np.pi * np.arange(rows) / 24)
    return np.stack([100 + 5 * wave, 0.1 * wave**3], axis=1) + noise * rng.standard_normal(
        (rows, 2)
    ) * np.array([1.0, 0.02])


def error_of(model: object, X: np.ndarray, first: int, horizon: int) -> np.ndarray:
    """Return the mean squared error (M,) over all origins from row `first` on."""
    origins = np.arange(first, len(X) - horizon)
    told = model.forecast_from(X, origins, horizon)  # pyright: ignore[reportAttributeAccessIssue]
    truth = X[origins[:, None] + np.arange(1, horizon + 1)]
    return np.nanmean((told - truth) ** 2, axis=(0, 1))


def test_a_season_is_found_and_forecast(rng: np.random.Generator) -> None:
    """On a noisy wave the season is found, and the error comes down to little over the noise."""
    X = seasonal(3000, rng)
    model = SSMForecaster(horizon=48).fit(X[:2000])

    assert model.season_ == (24,)
    noise = (0.3 * np.array([1.0, 0.02])) ** 2
    assert np.all(error_of(model, X, 2000, 48) < 1.25 * noise)


@pytest.mark.parametrize("rows", [100, 700, 3000])
@pytest.mark.parametrize("seed", [0, 1])
def test_never_much_worse_than_the_last_value_on_a_random_walk(rows: int, seed: int) -> None:
    """Where nothing but the last value can be known, no more than 2 % is lost by trying."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows + 2000, 3)).cumsum(axis=0)
    model = SSMForecaster(horizon=24).fit(X[:rows])
    last = SeasonalNaive(season=1, horizon=24).fit(X[:rows])

    found, naive = error_of(model, X, rows, 24).sum(), error_of(last, X, rows, 24).sum()
    assert found <= 1.02 * naive


@pytest.mark.parametrize("season", [7, 24])
def test_never_much_worse_than_the_last_season(season: int) -> None:
    """A pattern with hard edges that repeats exactly is repeated."""
    rng = np.random.default_rng(5)
    pattern = rng.standard_normal((season, 2)).round()
    X = np.tile(pattern, (1200 // season, 1))
    X = X + 0.05 * rng.standard_normal(X.shape).cumsum(axis=0)
    model = SSMForecaster(horizon=24).fit(X[:700])
    naive = SeasonalNaive(season=season, horizon=24).fit(X[:700])

    assert error_of(model, X, 700, 24).sum() <= 1.02 * error_of(naive, X, 700, 24).sum()


def test_intervals_cover_what_they_claim(rng: np.random.Generator) -> None:
    """80 % intervals hold between 75 and 85 % of what comes, for noise that also grows."""
    X = seasonal(4000, rng)
    X[2500:] += 0.3 * rng.standard_normal((1500, 2)) * np.array([1.0, 0.02])
    model = SSMForecaster(horizon=24).fit(X[:2000])
    origins = np.arange(2000, 3975)
    fan = model.forecast_from(X, origins, quantiles=QUANTILES)
    truth = X[origins[:, None] + np.arange(1, 25)]

    inside = (truth >= fan[..., 0]) & (truth <= fan[..., 2])
    assert 0.75 <= inside.mean() <= 0.85
    assert np.all(np.diff(fan, axis=-1) >= 0)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_one_reading_at_a_time_equals_one_pass(rng: np.random.Generator, gaps: float) -> None:
    """A stream fed row by row tells the same bits as `forecast_from`, quantiles too."""
    X = seasonal(500, rng)
    X[rng.random(X.shape) < gaps] = np.nan
    model = SSMForecaster(horizon=12, season=24).fit(X[:300])
    batch = model.forecast_from(X, [99, 250, 499], quantiles=QUANTILES)

    stream = model.stream()
    told = {}
    for row, reading in enumerate(X):
        stream.update(reading)
        told[row] = stream.forecast(quantiles=QUANTILES)

    for found, row in zip(batch, (99, 250, 499), strict=True):
        # The readout is one matrix product over many rows or one row: the same sums, grouped
        # differently by the linear algebra library.
        np.testing.assert_allclose(told[row], found, rtol=1e-12)


def test_a_snapshot_goes_on_as_if_nothing_happened(rng: np.random.Generator) -> None:
    """A stream restored from a snapshot tells what the first one tells."""
    X = seasonal(400, rng)
    model = SSMForecaster(horizon=12, season=24).fit(X)
    first, second = model.stream(), model.stream()
    for row in X[:100]:
        first.update(row)
    second.restore(first.snapshot())
    for row in X[100:150]:
        first.update(row)
        second.update(row)

    np.testing.assert_array_equal(first.forecast(), second.forecast())
    with pytest.raises(ModelFileError, match="Restore a snapshot of the same model"):
        second.restore({"poles": np.zeros(3)})


def test_fit_then_update_is_where_the_series_ends(rng: np.random.Generator) -> None:
    """`forecast` after `update` goes on from all rows, as `forecast_from` their last row."""
    X = seasonal(500, rng)
    model = SSMForecaster(horizon=12, season=24).fit(X[:400])
    whole = model.forecast_from(X, [-1])[0]

    np.testing.assert_allclose(model.update(X[400:]).forecast(), whole, rtol=1e-12)


def test_validation_rows_choose_but_do_not_teach(rng: np.random.Generator) -> None:
    """Forecasts go on from the end of `X_val`, and its readings do not enter the level."""
    X = seasonal(900, rng)
    model = SSMForecaster(horizon=12, season=24).fit(X[:600], X_val=X[600:])

    np.testing.assert_allclose(model.forecast(), model.forecast_from(X, [-1])[0], rtol=1e-12)
    np.testing.assert_allclose(model.predict(X)[0], X[:600].mean(axis=0))


def test_predict_is_the_one_step_forecast(rng: np.random.Generator) -> None:
    """Row t of `predict` is step 1 of the forecast from row t - 1; row 0 is the training level."""
    X = seasonal(300, rng)
    X[50:80, 0] = np.nan
    model = SSMForecaster(horizon=12, season=24).fit(X)
    told = model.predict(X)

    steps = model.forecast_from(X, np.arange(299), 1)[:, 0]
    np.testing.assert_allclose(told[1:], steps, rtol=1e-12)
    np.testing.assert_allclose(told[0], np.nanmean(X, axis=0))


def test_assets_do_not_see_each_other(rng: np.random.Generator) -> None:
    """Each asset starts from nothing: its forecasts do not depend on the rows before it."""
    X = np.concatenate([seasonal(300, rng), 3 * seasonal(200, rng)])
    groups = ["a"] * 300 + ["b"] * 200
    model = SSMForecaster(horizon=12, season=24).fit(X, groups=groups)

    np.testing.assert_array_equal(
        model.predict(X, groups=groups)[300:], model.predict(X[300:], groups=groups[300:])
    )
    np.testing.assert_allclose(
        model.forecast(asset="b"), model.forecast_from(X[300:], [-1])[0], rtol=1e-12
    )
    with pytest.raises(ConfigError, match="wanted one of"):
        model.forecast()


def test_a_dropped_row_is_a_missing_one(rng: np.random.Generator) -> None:
    """Times that skip rows give the forecast of a grid on which those rows are missing."""
    X = seasonal(400, rng)
    time = np.datetime64("2026-01-01", "ns") + np.arange(400) * np.timedelta64(600, "s")
    model = SSMForecaster(horizon=12, season=24).fit(X, times=time)
    drop = rng.random(400) < 0.3
    drop[[0, -1]] = False
    holes = X.copy()
    holes[drop] = np.nan

    missing = model.forecast_from(holes, [-1], times=time)
    dropped = model.forecast_from(X[~drop], [-1], times=time[~drop])
    np.testing.assert_allclose(dropped, missing, rtol=1e-9)


def test_frames_come_back_in_their_own_kind(rng: np.random.Generator) -> None:
    """Polars in, Polars out with times that go on; pandas and arrays likewise."""
    X = seasonal(300, rng)
    time = pd.date_range("2026-01-01", periods=300, freq="h")
    polars = pl.DataFrame({"time": time.to_numpy(), "flow": X[:, 0], "load": X[:, 1]})
    model = SSMForecaster(horizon=6, season=24).fit(polars)

    told = model.forecast(quantiles=QUANTILES)
    assert isinstance(told, pl.DataFrame)
    assert told.columns[:3] == ["time", "flow_q0.1", "flow_q0.5"]
    assert told["time"][0] == (time[-1] + pd.Timedelta("1h")).to_pydatetime()
    assert model.predict(polars).columns == ["flow", "load"]
    frame = polars.to_pandas()
    pd.testing.assert_frame_equal(model.predict(frame), model.predict(polars).to_pandas())
    assert list(model.tags_) == ["flow", "load"]


@pytest.mark.parametrize("rows", [2, 3, 10, 30, 100])
def test_few_rows_still_give_finite_forecasts(rows: int) -> None:
    """Down to two rows, forecasts and their quantiles are finite and ordered."""
    X = np.random.default_rng(0).standard_normal((rows, 2))
    model = SSMForecaster(horizon=96).fit(X)

    fan = model.forecast(quantiles=QUANTILES)
    assert fan.shape == (96, 2, 3)
    assert np.isfinite(fan).all()
    assert np.all(np.diff(fan, axis=-1) >= 0)


def test_a_constant_tag_is_forecast_as_itself(rng: np.random.Generator) -> None:
    """A tag that never moves is forecast as it is, with an interval of no width worth naming."""
    X = np.column_stack([np.full(400, 7.5), rng.standard_normal(400)])
    fan = SSMForecaster(horizon=12).fit(X).forecast(quantiles=QUANTILES)

    np.testing.assert_allclose(fan[:, 0], 7.5, rtol=1e-6)


def test_a_tag_is_forecast_from_its_last_reading(rng: np.random.Generator) -> None:
    """Where readings are missing, a forecast is what was said at the last one, steps later on."""
    X = seasonal(1200, rng)[:, :1]
    model = SSMForecaster(horizon=48).fit(X[:1000])
    holes = X.copy()
    holes[1101:1131] = np.nan
    at_last, later = model.forecast_from(holes, [1100, 1130], 48, QUANTILES)

    np.testing.assert_allclose(later[:18], at_last[30:], rtol=1e-12)
    # Beyond the horizon the last season goes on, as uncertain as the end of the horizon.
    np.testing.assert_allclose(later[18:42, :, 1], at_last[24:, :, 1], atol=1.0)
    assert np.all(np.diff(later, axis=-1) > 0)


def test_calibration_counts_from_the_last_reading(rng: np.random.Generator) -> None:
    """With most readings missing, intervals cover what they claim, at rows with and without."""
    X = seasonal(4000, rng)
    X[rng.random(X.shape) < 0.6] = np.nan
    model = SSMForecaster(horizon=24).fit(X[:2500])
    origins = np.arange(2500, 3976)
    fan = model.forecast_from(X, origins, 24, QUANTILES)
    truth = X[origins[:, None] + np.arange(1, 25)]
    inside = np.where(np.isfinite(truth), (truth > fan[..., 0]) & (truth < fan[..., 2]), np.nan)

    for read in (True, False):
        rows = np.isfinite(X[origins]) == read
        assert np.nanmean(inside.transpose(0, 2, 1)[rows]) == pytest.approx(0.8, abs=0.03)


def test_a_tag_that_falls_silent_is_still_forecast(rng: np.random.Generator) -> None:
    """A tag missing in all that follows the fit gets the training level, not NaN."""
    X = seasonal(400, rng)
    model = SSMForecaster(horizon=12, season=24).fit(X)
    silent = X.copy()
    silent[:, 1] = np.nan

    told = model.forecast_from(silent, [200, 399], quantiles=QUANTILES)
    assert np.isfinite(told).all()
    assert np.isfinite(model.predict(silent)).all()


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (np.ones((1, 2)), "minimum of 2 is required"),
        (np.column_stack([np.ones(9), np.full(9, np.nan)]), "no reading of 'x1'"),
        (np.array([[1.0], [np.inf], [2.0]]), "infinity"),
    ],
)
def test_unusable_readings_are_refused(X: np.ndarray, match: str) -> None:
    """One row, a tag without readings and infinite readings are errors that say so."""
    with pytest.raises(ValueError, match=match):
        SSMForecaster().fit(X)


def test_unusable_times_and_tags_are_refused(rng: np.random.Generator) -> None:
    """Repeated or falling times, other tags, and validation that does not follow are errors."""
    X = seasonal(60, rng)
    time = np.datetime64("2026-01-01", "ns") + np.arange(60) * np.timedelta64(60, "s")
    with pytest.raises(DataError, match="is not after the row before"):
        SSMForecaster().fit(X, times=np.r_[time[:5], time[4:-1]])
    frame = pl.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    model = SSMForecaster(horizon=4).fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename({"b": "c"}))
    timed = frame.with_columns(time=pl.Series(time))
    with pytest.raises(DataError, match="wanted rows that follow in time"):
        SSMForecaster(horizon=4).fit(timed, X_val=timed)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"horizon": 0}, "horizon=0"),
        ({"horizon": 2.5}, "horizon=2.5"),
        ({"lags": 0}, "lags=0"),
        ({"season": 1}, "season=1"),
        ({"season": "weekly"}, "season='weekly'"),
        ({"memory": "none"}, "memory='none'"),
        ({"period": -1.0}, "period=-1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, match: str) -> None:
    """A setting out of range is named with its value and what was wanted."""
    with pytest.raises(ConfigError, match=match):
        SSMForecaster(**settings).fit(np.arange(40.0)[:, None])


def test_questions_out_of_range_are_refused(rng: np.random.Generator) -> None:
    """A horizon over what was fitted, odd quantiles, and origins that are no rows are errors."""
    X = seasonal(100, rng)
    model = SSMForecaster(horizon=4, season=24).fit(X)
    with pytest.raises(ConfigError, match="fit with horizon=5"):
        model.forecast(5)
    with pytest.raises(ConfigError, match="increasing levels"):
        model.forecast(quantiles=(0.9, 0.1))
    with pytest.raises(ShapeError, match="wanted rows 0 to 99"):
        model.forecast_from(X, [100])
    with pytest.raises(ShapeError, match="one per fitted tag"):
        model.stream().update([1.0])


def test_a_damaged_model_is_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    """A model whose sizes were edited is an error before any compiled loop runs on it."""
    SSMForecaster(horizon=4, season=24).fit(seasonal(100, rng)).save(tmp_path)
    config = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(config.replace('"ring": 24', '"ring": 2'))

    with pytest.raises(ModelFileError, match="sizes do not fit"):
        SSMForecaster.load(tmp_path)


def test_a_saved_model_is_small(rng: np.random.Generator, tmp_path: Path) -> None:
    """State and readout of seven tags take at most 1 MB."""
    X = np.tile(seasonal(5000, rng), (1, 4))[:, :7]
    SSMForecaster(horizon=96, season=96).fit(X[:3000]).save(tmp_path)

    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1_000_000


def test_assets_side_by_side_are_the_same_as_one_after_the_other(rng: np.random.Generator) -> None:
    """`n_jobs` changes who reads, and no number that is learned or told."""
    X, groups = np.concatenate([seasonal(400, rng) for _ in range(3)]), np.repeat([*"abc"], 400)
    one, two = (
        SSMForecaster(horizon=12, season=24, n_jobs=jobs).fit(X, groups=groups)
        for jobs in (None, 2)
    )

    np.testing.assert_array_equal(two._model.linear.weights, one._model.linear.weights)
    origins = [5, 399, 450, 1100, 20]
    told, wanted = (m.forecast_from(X, origins, groups=groups) for m in (two, one))
    np.testing.assert_array_equal(told, wanted)
    np.testing.assert_array_equal(two.predict(X, groups=groups), one.predict(X, groups=groups))


def test_assets_of_one_row_each_are_refused() -> None:
    """No asset says what follows a row."""
    with pytest.raises(DataError, match="every asset has one row"):
        SSMForecaster(horizon=2).fit(np.ones((2, 1)), groups=["a", "b"])
