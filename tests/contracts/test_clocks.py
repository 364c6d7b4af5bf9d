"""One clock: a model measures time in the step it was fitted on, offline and online alike."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sensorssm import SSMDetector, SSMForecaster, Stepper
from sensorssm.errors import ModelFileError
from sensorssm.frames import to_window

MINUTES = np.datetime64("2026-01-05", "ns") + np.arange(600) * np.timedelta64(5, "m")


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    wave = np.sin(2 * np.pi * np.arange(600) / 48)
    return np.stack([wave, wave**2], axis=1) + 0.1 * np.random.default_rng(3).normal(size=(600, 2))


@pytest.mark.parametrize("fitted_with_times", [True, False])
def test_online_equals_batch_whatever_the_model_knows_of_time(
    readings: np.ndarray, fitted_with_times: bool
) -> None:
    """Times given at scoring mean the same to both drivers, also to a model fitted without."""
    times = MINUTES if fitted_with_times else None
    detector = SSMDetector().fit(readings[:400], times=None if times is None else times[:400])
    batch = detector.anomaly_score(readings, times=MINUTES)
    stepper = Stepper(detector)
    online = [stepper.step(r, time=t).score for r, t in zip(readings, MINUTES, strict=True)]
    np.testing.assert_array_equal(online, batch)


@pytest.mark.parametrize("model", [SSMDetector(), SSMForecaster(horizon=4, season=None)])
def test_later_times_change_no_earlier_answer(model: object, readings: np.ndarray) -> None:
    """A model fitted without times does not take its step from the table it is asked about."""
    fitted = model.fit(readings[:400])  # pyright: ignore[reportAttributeAccessIssue]
    ask = getattr(fitted, "anomaly_score", fitted.predict)
    slow = MINUTES.copy()
    slow[200:] += np.arange(400) * np.timedelta64(1, "h")
    np.testing.assert_array_equal(
        ask(readings[:200], times=slow[:200]), ask(readings, times=slow)[:200]
    )


def test_each_model_of_a_stepper_keeps_its_own_step(readings: np.ndarray) -> None:
    """A detector fitted without times leaves the clock of a forecaster fitted with them alone."""
    detector = SSMDetector().fit(readings[:400])
    forecaster = SSMForecaster(horizon=4, season=48).fit(readings[:400], times=MINUTES[:400])
    stepper, stream = Stepper(detector, forecaster), forecaster.stream()
    times = MINUTES[::2]
    for row, (values, at) in enumerate(zip(readings, times, strict=False)):
        stepper.step(values, time=at)
        stream.update(values, 1.0 if row == 0 else 2.0)
    np.testing.assert_array_equal(stepper.forecast(quantiles=None), stream.forecast())


def test_the_detector_learns_and_scores_with_one_period(readings: np.ndarray) -> None:
    """A stated period measures the training rows too: they raise no more alarms than asked."""
    detector = SSMDetector(period="1min").fit(readings, times=MINUTES)
    assert np.mean(detector.predict(readings, times=MINUTES) < 0) < 0.01


def test_a_time_without_a_zone_is_utc_wherever_the_machine_stands() -> None:
    """The machine's own zone never shifts a reading."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    try:
        window = to_window(np.zeros((2, 1)), times=[datetime(2026, 1, 5), datetime(2026, 1, 6)])
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
    assert window.time is not None
    assert window.time[0] == MINUTES[0].astype(np.int64)


@pytest.mark.parametrize(
    ("key", "value"),
    [("period_s", 0), ("period_s", "x"), ("tags", ["a", "a"]), ("tags", 5), ("ring", 10**12)],
)
def test_a_hostile_description_is_refused(
    key: str, value: object, readings: np.ndarray, tmp_path: Path
) -> None:
    """Names, step and sizes are checked before any loop or allocation trusts them."""
    import json

    frame = pl.DataFrame(readings, schema=["a", "b"]).with_columns(time=pl.Series(MINUTES))
    SSMForecaster(horizon=4, season=48).fit(frame).save(tmp_path)
    head = json.loads((tmp_path / "model.json").read_text())
    assert key in head["config"]
    head["config"][key] = value
    (tmp_path / "model.json").write_text(json.dumps(head))
    with pytest.raises(ModelFileError):
        SSMForecaster.load(tmp_path)


def test_settings_of_numpy_are_saved_as_numbers(readings: np.ndarray, tmp_path: Path) -> None:
    """A grid search hands over numpy's integers; a saved model does not mind."""
    model = SSMForecaster(horizon=np.int64(4), season=np.int64(48)).fit(readings)  # pyright: ignore[reportArgumentType]
    model.save(tmp_path / "f")
    SSMDetector(on_delay=np.int64(2), random_state=np.random.RandomState(0)).fit(readings).save(
        tmp_path / "d"
    )
    np.testing.assert_array_equal(SSMForecaster.load(tmp_path / "f").forecast(), model.forecast())
    assert SSMDetector.load(tmp_path / "d").on_delay == 2


def test_a_file_in_the_folders_place_is_named(readings: np.ndarray, tmp_path: Path) -> None:
    """Saving over a file is refused in our words, and the file stays."""
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(ModelFileError, match="a file stands there"):
        SSMDetector().fit(readings).save(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_timedelta_periods_are_accepted(readings: np.ndarray) -> None:
    """A period may be said as a timedelta."""
    detector = SSMDetector(period=timedelta(minutes=5)).fit(readings)
    assert detector.period_s_ == 300
