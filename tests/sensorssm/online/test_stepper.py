"""The stepper gives, row by row, exactly what the detector gives for the batch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sensorssm.errors import ConfigError, DataError, ModelFileError, ShapeError, UnknownTagError
from sensorssm.estimators.detector import SSMDetector
from sensorssm.online import Stepper

ROWS, TAGS = 400, 5


def _readings(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    readings = 10.0 + rng.normal(size=(ROWS, 2)).cumsum(axis=0) @ rng.normal(size=(2, TAGS))
    readings += rng.normal(size=readings.shape)
    readings[rng.random(readings.shape) < 0.05] = np.nan
    readings[60] = np.nan
    readings[200, 2] = 1e6
    return readings


def _times() -> np.ndarray:
    seconds = np.full(ROWS, 300)
    seconds[[50, 51, 150, 300]] = [310, 290, 900, 86_400]
    return np.datetime64("2026-01-05", "ns") + np.cumsum(seconds) * np.timedelta64(1, "s")


@pytest.fixture(scope="module")
def detector() -> SSMDetector:
    return SSMDetector().fit(_readings(1), times=_times())


def test_stepping_equals_the_batch_to_the_last_bit(detector: SSMDetector) -> None:
    readings, times = _readings(), _times()
    stepper = Stepper(detector)
    results = [stepper.step(row, time) for row, time in zip(readings, times, strict=True)]
    np.testing.assert_array_equal(
        [r.score for r in results], detector.anomaly_score(readings, times=times)
    )
    np.testing.assert_allclose(  # numpy's power of an array may differ in its last bit
        [r.p_value for r in results], detector.p_value(readings, times=times), rtol=1e-14
    )
    np.testing.assert_array_equal(
        [r.contributions for r in results], detector.explain(readings, times=times)
    )
    np.testing.assert_array_equal(
        [r.expected for r in results], detector.expected(readings, times=times)
    )
    np.testing.assert_array_equal(
        [r.is_anomaly for r in results], detector.predict(readings, times=times) == -1
    )


def test_assets_are_stepped_apart(detector: SSMDetector) -> None:
    """Two assets in turn give what each gives alone."""
    stepper = Stepper(detector, assets=["a", "b"])
    readings = {"a": _readings(2), "b": _readings(3)}
    got = {"a": [], "b": []}
    for t in range(ROWS):
        for asset in ("a", "b"):
            got[asset].append(stepper.step(readings[asset][t], asset=asset).score)
    for asset, rows in readings.items():
        np.testing.assert_array_equal(got[asset], detector.anomaly_score(rows))


@pytest.mark.parametrize("cut", [1, 199, 201])
def test_a_restored_stepper_goes_on_as_if_nothing_had_happened(
    detector: SSMDetector, cut: int
) -> None:
    readings, times = _readings(), _times()
    whole = detector.anomaly_score(readings, times=times)
    before = Stepper(detector)
    for row, time in zip(readings[:cut], times[:cut], strict=True):
        before.step(row, time)
    after = Stepper(detector)
    after.restore(before.snapshot())
    rest = [after.step(r, t).score for r, t in zip(readings[cut:], times[cut:], strict=True)]
    np.testing.assert_array_equal(rest, whole[cut:])


def test_a_foreign_or_damaged_snapshot_is_refused(detector: SSMDetector) -> None:
    stepper = Stepper(detector)
    stepper.step(_readings()[0])
    content = stepper.snapshot()
    other = Stepper(SSMDetector().fit(_readings(5), times=_times()))
    with pytest.raises(ModelFileError, match="another model"):
        other.restore(content)
    with pytest.raises(ModelFileError, match="assets"):
        Stepper(detector, assets=["pump 1"]).restore(content)
    for damaged in (b"", content[:40], content[:-1], b"\xff" * 200):
        with pytest.raises(ModelFileError):
            stepper.restore(damaged)


def test_values_by_tag_are_values_in_order(detector: SSMDetector) -> None:
    by_order, by_tag = Stepper(detector), Stepper(detector)
    row = np.array([1.0, 2.0, np.nan, 4.0, 5.0])
    named = {"x4": 5.0, "x0": 1.0, "x1": 2.0, "x3": 4.0}
    for _ in range(5):
        assert by_order.step(row).score == by_tag.step(named).score


def test_wrong_values_are_refused_and_change_nothing(detector: SSMDetector) -> None:
    stepper = Stepper(detector)
    time = datetime(2026, 1, 5, tzinfo=UTC)
    stepper.step(_readings()[0], time)
    content = stepper.snapshot()
    with pytest.raises(UnknownTagError, match="x00"):
        stepper.step({"x00": 1.0})
    with pytest.raises(ShapeError, match="wanted"):
        stepper.step([1.0, 2.0])
    with pytest.raises(DataError, match="not after"):
        stepper.step(_readings()[1], time)
    with pytest.raises(DataError, match="pump 9"):
        stepper.step(_readings()[1], time + timedelta(minutes=5), asset="pump 9")
    assert stepper.snapshot() == content


def test_a_forecast_needs_a_forecaster(detector: SSMDetector) -> None:
    with pytest.raises(ConfigError, match="forecaster"):
        Stepper(detector).forecast()


@pytest.mark.parametrize("assets", [[], ["a", "a"]])
def test_assets_have_different_names(detector: SSMDetector, assets: list[str]) -> None:
    with pytest.raises(ConfigError, match="assets"):
        Stepper(detector, assets=assets)
