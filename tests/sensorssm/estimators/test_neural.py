"""NeuralForecaster: every layer learns, streams as it scans, and is refused what makes no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sensorssm.config import LAYERS
from sensorssm.errors import ConfigError, DataError, ModelFileError
from sensorssm.estimators.folder import load_parts, save_parts
from sensorssm.estimators.neural import NeuralForecaster

TINY = {"horizon": 8, "lags": 5, "width": 8, "layers": 2, "batch": 4, "segment": 48}
TINY |= {"context": 16, "patch": 5}
every_layer = pytest.mark.parametrize("layer", LAYERS)


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    """Return 700 rows of two seasonal tags of unlike units, with holes."""
    rng = np.random.default_rng(3)
    angle = 2 * np.pi * np.arange(700) / 12
    X = np.stack([1000 + 30 * np.sin(angle), np.cos(angle)], axis=1)
    X += 0.1 * rng.standard_normal(X.shape) * [30, 1]
    X[rng.random(X.shape) < 0.05] = np.nan
    return X


@every_layer
def test_stepping_equals_scanning(layer: str, readings: np.ndarray) -> None:
    """One uneven reading at a time ends in the forecast and the state of one pass."""
    gaps = np.where(np.arange(300) % 7, 1.0, 2.5)
    times = np.datetime64("2026-01-01") + (np.cumsum(gaps) * 3600).astype("timedelta64[s]")
    model = NeuralForecaster(layer=layer, steps=2, **TINY).fit(readings[:300], times=times)
    stream = model.stream()
    for row, gap in zip(readings[:300], [1.0, *gaps[1:]], strict=True):
        stream.update(row, gap)

    # float32 keeps 7 digits of each intermediate; sums of other lengths add up in other orders.
    levels = (0.1, 0.5, 0.9)
    np.testing.assert_allclose(
        stream.forecast(quantiles=levels), model.forecast(quantiles=levels), rtol=1e-5, atol=1e-5
    )
    before = stream.forecast()
    held = stream.snapshot()
    stream.update(readings[300])
    assert np.abs(stream.forecast() - before).max() > 1e-3, "a reading makes no difference"
    stream.restore(held)
    np.testing.assert_array_equal(stream.forecast(), before)


@pytest.mark.parametrize("lags", [1, 2, 65])
def test_any_number_of_lags_streams(lags: int, readings: np.ndarray) -> None:
    """One reading a step, and more than a record holds, give in a stream what they give at once."""
    settings = {**TINY, "lags": lags}
    model = NeuralForecaster(steps=2, **settings).fit(readings[:60])
    stream = model.stream()
    for row in readings[:60]:
        stream.update(row)

    np.testing.assert_allclose(stream.forecast(), model.forecast(), rtol=1e-5, atol=1e-5)


def test_a_tag_is_read_by_itself(readings: np.ndarray) -> None:
    """Other readings of one tag leave the forecasts of the other as they are."""
    model = NeuralForecaster(steps=2, **TINY).fit(readings[:200])
    other = readings.copy()
    other[:, 0] = 7.0
    told = [model.forecast_from(X, [50, 300], quantiles=(0.1, 0.9)) for X in (readings, other)]

    np.testing.assert_allclose(told[0][:, :, 1], told[1][:, :, 1], rtol=1e-5, atol=1e-5)
    assert np.abs(told[0] - told[1])[:, :, 0].min() > 1


@every_layer
def test_training_halves_the_error_of_the_mean(layer: str, readings: np.ndarray) -> None:
    """A few steps on a wave are worth half of its mean absolute deviation."""
    origins = np.arange(560, 690)
    truth = readings[origins[:, None] + np.arange(1, 9)]
    model = NeuralForecaster(layer=layer, steps=60, learning_rate=0.02, **TINY).fit(readings[:560])
    error = np.nanmean(np.abs(model.forecast_from(readings, origins) - truth), axis=(0, 1))

    assert np.all(error < 0.5 * np.nanmean(np.abs(truth - [1000, 0]), axis=(0, 1)))


def test_quantiles_are_ordered_and_about_the_point(readings: np.ndarray) -> None:
    """Quantiles increase, trained levels or not, and the median is the point forecast."""
    model = NeuralForecaster(steps=20, **TINY).fit(readings)
    levels = (0.01, 0.1, 0.25, 0.5, 0.9, 0.99)
    fan = model.forecast_from(readings, np.arange(10, 600, 50), quantiles=levels)

    assert np.all(np.diff(fan, axis=-1) >= 0)
    assert np.all(fan[..., 1] < fan[..., 4])
    np.testing.assert_allclose(
        fan[..., 3], model.forecast_from(readings, np.arange(10, 600, 50)), rtol=1e-5, atol=1e-5
    )


def test_two_fits_are_equal_and_seeds_differ(readings: np.ndarray) -> None:
    """The same rows and the same seed give the same model; the global generator is not touched."""
    import torch

    torch.manual_seed(1)
    before = torch.get_rng_state()
    one, same, other = (
        NeuralForecaster(steps=3, random_state=seed, **TINY).fit(readings).forecast()
        for seed in (0, 0, 1)
    )

    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-6
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_held_back_teaches_nothing(readings: np.ndarray) -> None:
    """Other readings in `X_val`, which choose the same step, leave the same weights."""
    rng = np.random.default_rng(0)
    other = readings[500:] + rng.standard_normal(readings[500:].shape) * [3, 0.1]
    one, two = (
        NeuralForecaster(steps=20, learning_rate=0.02, **TINY).fit(readings[:500], X_val=later)
        for later in (readings[500:], other)
    )
    weights, same = (dict(model._fold.network.named_parameters()) for model in (one, two))

    assert weights["head.centre.weight"].abs().max() > 0, "no step was kept"
    for name, weight in weights.items():
        np.testing.assert_array_equal(weight, same[name], err_msg=name)
    np.testing.assert_array_equal(one._fold.centre, two._fold.centre)


def test_frames_assets_and_gaps(readings: np.ndarray) -> None:
    """Two assets in a frame: a forecast of either in the frame's kind, rows that follow in time."""
    times = pd.date_range("2026-01-01", periods=300, freq="1h", tz="UTC")
    frame = pd.concat(
        [
            pd.DataFrame(readings[i : i + 300], columns=["a", "b"]).assign(time=times, asset=name)
            for i, name in ((0, "north"), (300, "south"))
        ],
        ignore_index=True,
    )
    model = NeuralForecaster(steps=2, **TINY).fit(frame)
    ahead = model.forecast(asset="south")

    assert list(ahead.columns) == ["time", "a", "b"]
    assert ahead["time"].iloc[0] == times[-1].tz_localize(None) + pd.Timedelta("1h")
    with pytest.raises(ConfigError, match="north"):
        model.forecast()
    with pytest.raises(DataError, match="follow in time"):
        model.update(frame[frame["asset"] == "north"])


def test_each_asset_is_read_in_its_own_spread(readings: np.ndarray, tmp_path: Path) -> None:
    """An asset a thousandth as large is forecast as its large twin, loaded again and on its own."""
    X = np.concatenate([readings, readings / 1000 + 5])
    assets = np.repeat(["large", "small"], len(readings))
    model = NeuralForecaster(steps=20, **TINY).fit(X, groups=assets)
    model.save(tmp_path / "model")
    loaded = NeuralForecaster.load(tmp_path / "model")

    for one in (model, loaded):
        large, small = one.forecast(asset="large"), one.forecast(asset="small")
        spread = np.nanstd(readings, axis=0)
        np.testing.assert_allclose((small - 5) * 1000 / spread, large / spread, atol=1e-3)
    told = model.forecast_from(X, [699, 1399], groups=assets)
    np.testing.assert_allclose(told[1], model.forecast(asset="small"), rtol=1e-5)
    stream = model.stream("small")
    np.testing.assert_array_equal(stream.forecast(), model.forecast(asset="small"))
    new = model.update(readings[:9], groups=["new"] * 9).forecast(asset="new")
    assert np.isfinite(new).all()


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"layer": "rnn"}, "layer"),
        ({"horizon": 0}, "horizon"),
        ({"width": 2.5}, "width"),
        ({"lags": 0}, "lags"),
        ({"layer": "attention", "width": 6}, "heads"),
        ({"layer": "attention", "context": 5, "patch": 6}, "context"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"span": 0.5}, "span"),
    ],
)
def test_bad_settings_are_named(setting: dict[str, object], named: str) -> None:
    """A setting that makes no sense is refused by its name, before anything is learned."""
    with pytest.raises(ConfigError, match=named):
        NeuralForecaster(**setting).fit(np.zeros((50, 1)))


@every_layer
def test_a_loaded_model_goes_on_where_the_saved_one_stood(
    layer: str, readings: np.ndarray, tmp_path: Path
) -> None:
    """Each layer's state survives the folder, missing readings and unfilled windows with it."""
    X = readings[:9].copy()
    X[-1, 0] = np.nan
    model = NeuralForecaster(layer=layer, steps=1, **TINY).fit(X)
    model.save(tmp_path / "model")
    loaded = NeuralForecaster.load(tmp_path / "model")

    np.testing.assert_array_equal(loaded.forecast(), model.forecast())
    told = [one.update(readings[9:20]).forecast() for one in (model, loaded)]
    np.testing.assert_allclose(*told, rtol=1e-6)


def test_weights_of_another_network_are_refused(readings: np.ndarray, tmp_path: Path) -> None:
    """A folder whose weights do not fit its settings says so."""
    NeuralForecaster(steps=1, **TINY).fit(readings[:100]).save(tmp_path / "model")
    config, arrays = load_parts(tmp_path / "model", "NeuralForecaster")
    arrays["fold.network.embed.weight"] = arrays["fold.network.embed.weight"][:, :-1]
    save_parts(tmp_path / "model", "NeuralForecaster", config, arrays)

    with pytest.raises(ModelFileError, match="do not fit"):
        NeuralForecaster.load(tmp_path / "model")


def test_a_verbose_fit_tells_how_it_goes(
    readings: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    """With `verbose` every validation is a line of the log; without, none is."""
    caplog.set_level("INFO")
    NeuralForecaster(steps=2, **TINY).fit(readings)
    assert not caplog.records
    NeuralForecaster(steps=26, verbose=1, **TINY).fit(readings)

    assert [record.args[:2] for record in caplog.records] == [(25, 26), (26, 26)]
