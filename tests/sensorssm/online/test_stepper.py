"""The stepper gives, row by row, exactly what the detector gives for the batch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load, save

from sensorssm.errors import ConfigError, DataError, ModelFileError, ShapeError, UnknownTagError
from sensorssm.estimators.detector import SSMDetector
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.online import Stepper
from sensorssm.online.clock import nanoseconds

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
    for values in ({"x0": "warm"}, ["warm"] * 5, [[1.0], [1.0, 2.0]]):
        with pytest.raises(DataError, match="no numbers"):
            stepper.step(values)
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


def _fleet(rows: int, assets: int) -> np.ndarray:
    """Return readings (rows, assets, M), each asset's its own."""
    return np.stack([_readings(seed)[:rows] for seed in range(assets)], axis=1)


def test_stepping_many_equals_stepping_each_to_the_last_bit(detector: SSMDetector) -> None:
    """Scores, p-values, forecasts and shares, at uneven times, with a row that is all missing."""
    forecaster = SSMForecaster(horizon=3, season=None).fit(_readings(1), times=_times())
    names = [f"pump {k}" for k in range(4)]
    fleet = Stepper(detector, forecaster, names)
    single = Stepper(detector, forecaster, names)
    readings, times = _fleet(80, 4), _times()
    readings[20, 1] = np.nan
    for t in range(80):
        many = fleet.step_many(readings[t], times[t])
        each = [single.step(readings[t, k], times[t], name) for k, name in enumerate(names)]
        assert many.assets == tuple(names)
        for field in ("score", "p_value", "is_anomaly", "expected", "contributions"):
            np.testing.assert_array_equal(
                getattr(many, field), [getattr(one, field) for one in each], err_msg=field
            )
        for field in ("lower", "upper"):
            np.testing.assert_array_equal(
                getattr(many, field), [getattr(one, field) for one in each], err_msg=field
            )
    assert fleet.snapshot() == single.snapshot()


def test_some_of_the_assets_may_be_stepped_in_any_order(detector: SSMDetector) -> None:
    """The rows go with the names that are given; the others stand still."""
    fleet = Stepper(detector, assets=["a", "b", "c"])
    alone = Stepper(detector, assets=["a", "b", "c"])
    readings = _fleet(30, 2)
    for row in readings:
        many = fleet.step_many(row, assets=["c", "a"])
        scores = [alone.step(row[0], asset="c").score, alone.step(row[1], asset="a").score]
        np.testing.assert_array_equal(many.score, scores)
        assert [result.asset for result in many] == ["c", "a"]
    assert fleet.snapshot() == alone.snapshot()


def test_a_bad_instant_moves_no_asset_of_a_fleet(detector: SSMDetector) -> None:
    """One asset whose time does not move on, a name twice or unknown, a row too few."""
    fleet = Stepper(detector, assets=["a", "b"])
    rows, now = _fleet(2, 2), _times()
    fleet.step_many(rows[0], now[0])
    fleet.step(rows[1, 1], now[2], "b")
    content = fleet.snapshot()
    with pytest.raises(DataError, match="asset 'b'"):
        fleet.step_many(rows[1], now[1])
    with pytest.raises(DataError, match="at most once"):
        fleet.step_many(rows[1], now[3], ["a", "a"])
    with pytest.raises(DataError, match="'d'"):
        fleet.step_many(rows[1], now[3], ["a", "d"])
    with pytest.raises(ShapeError, match=r"wanted \(2, 5\)"):
        fleet.step_many(rows[1, :1], now[3])
    with pytest.raises(DataError, match="no numbers"):
        fleet.step_many([["a"] * 5] * 2, now[3])
    assert fleet.snapshot() == content


def test_an_instant_without_assets_moves_nothing(detector: SSMDetector) -> None:
    """A tick in which no asset spoke is no error, with a forecaster or without."""
    forecaster = SSMForecaster(horizon=4, season=None).fit(_readings(1), times=_times())
    for models in ((detector,), (detector, forecaster)):
        fleet = Stepper(*models, assets=["a", "b"])
        before = fleet.snapshot()
        many = fleet.step_many(np.empty((0, TAGS)), assets=[])

        assert len(many) == 0 and fleet.snapshot() == before


@pytest.mark.parametrize(
    "time",
    [
        np.datetime64("NaT"),
        pd.NaT,
        np.datetime64("3000-01-01"),  # numpy would wrap it around to the year 1830
        datetime(1500, 1, 1, tzinfo=UTC),
        "2026-01-05",
        1.5,
        2**63,
        True,
    ],
)
def test_a_time_that_is_none_is_refused(detector: SSMDetector, time: Any) -> None:
    """NaT is int64's smallest number, which would pass for a time that was never told."""
    stepper = Stepper(detector)
    with pytest.raises(DataError, match="wanted a datetime"):
        stepper.step(_readings()[0], time)


def test_every_kind_of_time_is_the_same_instant(detector: SSMDetector) -> None:
    """A zone is converted, none is UTC, and the digits below a microsecond count."""
    moment = datetime(2026, 1, 5, 12, 0, 0, 250_000, tzinfo=UTC)
    there = moment.astimezone(timezone(timedelta(hours=-5)))
    ns = int(moment.timestamp()) * 10**9 + 250_000_000
    kinds = [moment, there, moment.replace(tzinfo=None), ns, np.int64(ns), pd.Timestamp(moment)]
    assert {nanoseconds(kind) for kind in kinds} == {ns}
    assert nanoseconds(np.datetime64(ns + 7, "ns")) == nanoseconds(pd.Timestamp(ns + 7)) == ns + 7


def _tampered(content: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """Return a snapshot whose arrays `change` has written in; the head is as it was."""
    arrays = {name: array.copy() for name, array in load(content).items()}
    change(arrays)
    return save(arrays)


def _put(name: str, place: tuple[int, ...], value: float) -> Callable[[dict[str, Any]], None]:
    def change(arrays: dict[str, Any]) -> None:
        arrays[name][place] = value

    return change


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an infinite state": _put("state", (0, 5), np.inf),
    "an unknown state": _put("state", (0, 5), np.nan),
    "rows below zero": _put("state", (0, 0), -1.0),
    "a state of another type": lambda a: a.update(state=a["state"].astype(np.float32)),
    "a state of another shape": lambda a: a.update(state=a["state"][:, :-1]),
    "times of another type": lambda a: a.update(time=a["time"].astype(np.float64)),
    "a forecaster's state that lacks a part": lambda a: a.pop("stream/0/clock"),
    "a forecaster's clock out of range": _put("stream/0/clock", (1,), -9.0),
}


@pytest.fixture(scope="module")
def pair(detector: SSMDetector) -> Stepper:
    forecaster = SSMForecaster(horizon=3, season=None).fit(_readings(1), times=_times())
    stepper = Stepper(detector, forecaster)
    for row in _readings()[:5]:
        stepper.step(row)
    return stepper


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_snapshot_is_refused_and_the_stepper_stands(
    pair: Stepper, change: Callable[[dict[str, Any]], Any]
) -> None:
    content = pair.snapshot()
    with pytest.raises(ModelFileError):
        pair.restore(_tampered(content, change))
    assert pair.snapshot() == content


def test_a_fleet_is_restored_whole_or_not_at_all(detector: SSMDetector) -> None:
    """The last asset's part is damaged: the first does not go back alone."""
    forecaster = SSMForecaster(horizon=3, season=None).fit(_readings(1), times=_times())
    fleet = Stepper(detector, forecaster, assets=["a", "b"])
    early = fleet.snapshot()
    fleet.step_many(_fleet(1, 2)[0])
    late = fleet.snapshot()

    with pytest.raises(ModelFileError):
        fleet.restore(_tampered(early, lambda arrays: arrays.pop("stream/1/clock")))
    assert fleet.snapshot() == late != early


@pytest.mark.parametrize(
    "head", [b"[]", b'"x"', b"{}", b'{"version": 2}', b"[" * 100_000, b'{"version": "2"}', b"\xff"]
)
def test_a_hostile_head_is_refused(pair: Stepper, head: bytes) -> None:
    """JSON that is no head, or nests deeper than any parser follows."""
    arrays = load(pair.snapshot()) | {"head": np.frombuffer(head, dtype=np.uint8)}
    with pytest.raises(ModelFileError):
        pair.restore(save(arrays))


def test_every_cut_of_a_snapshot_is_refused(detector: SSMDetector) -> None:
    """A crash while writing leaves any length; none of them may be taken for a whole one."""
    stepper = Stepper(detector)
    content = stepper.snapshot()
    for length in range(0, len(content), 97):
        with pytest.raises(ModelFileError):
            stepper.restore(content[:length])


def test_a_snapshot_goes_with_its_forecaster_and_its_tags(detector: SSMDetector) -> None:
    """Another forecaster, none, or the same coefficients under other names are other models."""

    def named(names: str, horizon: int) -> Stepper:
        frame = pd.DataFrame(_readings(1), columns=list(names))
        forecaster = SSMForecaster(horizon=horizon, season=None).fit(frame)
        return Stepper(SSMDetector().fit(frame), forecaster)

    mine = named("abcde", 3)
    content = mine.snapshot()
    named("abcde", 3).restore(content)
    with pytest.raises(ModelFileError, match=r"another model \(forecaster\)"):
        named("abcde", 4).restore(content)
    with pytest.raises(ModelFileError, match=r"another model \(detector\)"):
        named("edcba", 3).restore(content)
    with pytest.raises(ModelFileError, match=r"another model \(forecaster\)"):
        Stepper(mine._detector).restore(content)


def test_a_forecaster_that_read_on_is_still_the_same_model(detector: SSMDetector) -> None:
    """Where its own assets stand is no part of what a stepper's state rests on."""
    forecaster = SSMForecaster(horizon=3, season=None).fit(_readings(1))
    stepper = Stepper(detector, forecaster)
    stepper.step(_readings()[0])
    content = stepper.snapshot()
    forecaster.update(_readings(2)[:10])
    stepper.restore(content)
