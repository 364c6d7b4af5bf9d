"""What people say of alarms moves the threshold, as little as needed, and stays with the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sensorssm import Stepper
from sensorssm.errors import DataError, ModelFileError, ShapeError
from sensorssm.estimators.detector import SSMDetector
from sensorssm.estimators.labels import opening_levels
from sensorssm.scoring import find_events

ROWS = 1500
SPIKES = {300: 1.5, 600: 2.5, 900: 4.0}  # row: how far off, in each case an alarm


def _readings(seed: int = 0, rows: int = ROWS) -> np.ndarray:
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(rows, 2)).cumsum(axis=0) * 0.05
    return causes @ np.array([[1.0, 0.5, 0.2], [0.3, -1.0, 0.8]]) + 0.1 * rng.normal(size=(rows, 3))


@pytest.fixture()
def fitted() -> SSMDetector:
    return SSMDetector().fit(_readings())


@pytest.fixture()
def later() -> np.ndarray:
    readings = _readings(1)
    for row, size in SPIKES.items():
        readings[row, 1] += size
    return readings


def _labels(**kinds: int) -> np.ndarray:
    """Say each kind of the 40 rows from its row on."""
    said = np.full(ROWS, "", dtype=object)
    for kind, row in kinds.items():
        said[row : row + 40] = kind
    return said


def _alarms_in(detector: SSMDetector, readings: np.ndarray, row: int) -> int:
    started = np.asarray(detector.events(readings)["started"])
    return int(((started >= row) & (started < row + 40)).sum())


def test_each_spike_alarms_before_anything_is_said(fitted: SSMDetector, later: np.ndarray) -> None:
    assert all(_alarms_in(fitted, later, row) for row in SPIKES)
    assert fitted.threshold_ == fitted.fitted_threshold_ > 3.0
    assert fitted.labels_ == ()


def test_a_false_alarm_is_silenced_by_as_little_as_needed(
    fitted: SSMDetector, later: np.ndarray
) -> None:
    """The threshold is the false alarm's own peak: one step lower and it would open again."""
    peak = fitted.anomaly_score(later)[300:340].max()
    assert fitted.adjust(later, _labels(false_alarm=300)) is fitted
    assert fitted.threshold_ == -fitted.offset_ == peak
    assert _alarms_in(fitted, later, 300) == 0
    assert _alarms_in(fitted, later, 900) == 1
    assert (fitted.predict(later)[300:340] == 1).all()


def test_a_labelled_fault_is_never_silenced(fitted: SSMDetector, later: np.ndarray) -> None:
    """A false alarm that looks worse than a fault stays; the fault just opens."""
    said = _labels(fault=300)
    said[900:940] = "false_alarm"
    peak = fitted.anomaly_score(later)[300:340].max()
    fitted.adjust(later, said)
    assert fitted.threshold_ == np.nextafter(peak, 0.0)
    assert _alarms_in(fitted, later, 300) >= 1


def test_a_fault_that_was_never_found_bounds_nothing(
    fitted: SSMDetector, later: np.ndarray
) -> None:
    peak = fitted.anomaly_score(later)[300:340].max()
    fitted.adjust(later, _labels(fault=100, false_alarm=300))
    assert fitted.threshold_ == peak


def test_maintenance_moves_nothing_but_is_remembered(
    fitted: SSMDetector, later: np.ndarray
) -> None:
    fitted.adjust(later, _labels(maintenance=900))
    assert fitted.threshold_ == fitted.fitted_threshold_
    assert [label.kind for label in fitted.labels_] == ["maintenance"]


def test_labels_add_up_in_any_order(later: np.ndarray) -> None:
    one, other = _labels(false_alarm=600), _labels(fault=900, false_alarm=300)
    first = SSMDetector().fit(_readings()).adjust(later, one).adjust(later, other)
    second = SSMDetector().fit(_readings()).adjust(later, other).adjust(later, one)
    assert first.threshold_ == second.threshold_ > first.fitted_threshold_
    assert first.fit(_readings()).labels_ == ()


def test_a_new_word_about_the_same_alarm_replaces_the_old(later: np.ndarray) -> None:
    times = np.datetime64("2026-01-05", "ns") + np.arange(ROWS) * np.timedelta64(5, "m")
    frame = pl.DataFrame(later).with_columns(time=pl.Series(times))
    detector = SSMDetector().fit(frame)
    detector.adjust(frame, _labels(false_alarm=900))
    assert detector.threshold_ > detector.fitted_threshold_
    assert detector.labels_[0].started == "2026-01-08T03:00:00.000000000"
    detector.adjust(frame, _labels(fault=900))
    assert detector.threshold_ == detector.fitted_threshold_
    assert [label.kind for label in detector.labels_] == ["fault"]


def test_a_saved_model_remembers(fitted: SSMDetector, later: np.ndarray, tmp_path: Path) -> None:
    fitted.adjust(later, _labels(false_alarm=600, fault=900)).save(tmp_path)
    loaded = SSMDetector.load(tmp_path)
    assert loaded.labels_ == fitted.labels_
    assert (loaded.threshold_, loaded.fitted_threshold_) == (
        fitted.threshold_,
        fitted.fitted_threshold_,
    )
    np.testing.assert_array_equal(loaded.predict(later), fitted.predict(later))
    more = _labels(false_alarm=300)
    assert loaded.adjust(later, more).threshold_ == fitted.adjust(later, more).threshold_


@pytest.mark.parametrize(
    "label", [{"kind": "odd"}, {"level": float("nan")}, {"extra": 1}, {"level": "x"}]
)
def test_a_saved_label_that_is_none_is_refused(
    fitted: SSMDetector, later: np.ndarray, tmp_path: Path, label: dict
) -> None:
    fitted.adjust(later, _labels(fault=900)).save(tmp_path)
    head = json.loads((tmp_path / "model.json").read_text())
    head["config"]["labels"][0] |= label
    (tmp_path / "model.json").write_text(json.dumps(head))
    with pytest.raises(ModelFileError):
        SSMDetector.load(tmp_path)


def test_a_running_stepper_hears_at_once(fitted: SSMDetector, later: np.ndarray) -> None:
    stepper = Stepper(fitted)
    results = [stepper.step(row) for row in later[:400]]
    assert any(result.is_anomaly for result in results[300:340])
    fitted.adjust(later, _labels(false_alarm=300))
    again = Stepper(fitted)
    assert not any(again.step(row).is_anomaly for row in later[:400])
    assert stepper.step(later[400]).threshold == fitted.threshold_


@pytest.mark.parametrize("on_delay", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_an_alarm_opens_just_below_the_opening_level(seed: int, on_delay: int) -> None:
    """Against the events themselves, with unknown scores and at an asset's edge."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=60), 1)
    scores[rng.random(60) < 0.1] = np.nan
    level = opening_levels(scores, on_delay).max()
    start = np.array([0])

    def alarms(threshold: float) -> int:
        return len(find_events(scores > threshold, start, on_delay=on_delay, off_delay=3))

    assert alarms(level) == 0
    if np.isfinite(level):
        assert alarms(np.nextafter(level, -np.inf)) > 0


def test_assets_are_labelled_apart(later: np.ndarray) -> None:
    """A stretch of labels that runs over an asset's end is two labels."""
    both, groups = np.vstack([later, later]), np.repeat(["a", "b"], ROWS)
    detector = SSMDetector().fit(both, groups=groups)
    said = np.full(2 * ROWS, "", dtype=object)
    said[ROWS - 10 : ROWS + 10] = "maintenance"
    detector.adjust(both, said, groups=groups)
    assert [(x.asset, x.started, x.ended) for x in detector.labels_] == [
        ("a", ROWS - 10, ROWS), ("b", ROWS, ROWS + 10),
    ]  # fmt: skip


def test_fit_learns_from_false_alarms_and_not_from_faults(later: np.ndarray) -> None:
    kinds = _labels(fault=300, maintenance=600, false_alarm=900)
    left_out = np.isin(kinds.astype(str), ["fault", "maintenance"])
    by_kind = SSMDetector().fit(later, labels=kinds)
    np.testing.assert_array_equal(
        by_kind.anomaly_score(later),
        SSMDetector().fit(later, exclude=left_out).anomaly_score(later),
    )


def test_labels_that_say_nothing_known_are_refused(fitted: SSMDetector, later: np.ndarray) -> None:
    with pytest.raises(DataError, match="'oops'"):
        fitted.adjust(later, _labels(oops=3))
    with pytest.raises(DataError, match="'1'"):
        fitted.adjust(later, np.ones(ROWS, dtype=int))
    with pytest.raises(ShapeError, match="labels"):
        fitted.adjust(later, _labels()[1:])
    assert fitted.adjust(later, [None] * ROWS).labels_ == ()


@pytest.mark.parametrize("name", ["labels", "exclude"])
@pytest.mark.parametrize(("odd", "plain"), [(np.nan, 0.0), ("False", "")])
def test_flags_that_are_not_known_are_refused(
    later: np.ndarray, name: str, odd: object, plain: object
) -> None:
    """Both would otherwise count as true, and take their rows out of the fit in silence."""
    flags = np.array([odd] * (ROWS // 2) + [plain] * (ROWS - ROWS // 2))
    with pytest.raises(DataError, match="hold"):
        SSMDetector().fit(later, **{name: flags})
