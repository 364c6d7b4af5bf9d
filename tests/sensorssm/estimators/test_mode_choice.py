"""A detector with modes alarms alike in each, offline and online, and is saved with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorssm import Stepper
from sensorssm.errors import ConfigError, ModelFileError, UnknownTagError
from sensorssm.estimators.detector import SSMDetector
from sensorssm.evaluation.anomaly import average_precision

ROWS, TRAIN = 9000, 5000


def _plant(seed: int, ratio: float = 3.0) -> np.ndarray:
    """Three tags of one cause, and a switch x3 under which their noise is `ratio` times higher."""
    rng = np.random.default_rng(seed)
    mode = np.arange(ROWS) // 300 % 2
    cause = np.zeros(ROWS)
    for t in range(1, ROWS):
        cause[t] = 0.97 * cause[t - 1] + rng.normal(scale=0.2)
    noise = rng.normal(size=(ROWS, 3)) * np.where(mode, 0.2 * ratio, 0.2)[:, None]
    return np.column_stack([np.outer(cause, [1.0, -0.7, 0.4]) + noise, mode])


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    return _plant(0)


@pytest.fixture(scope="module")
def fitted(readings: np.ndarray) -> SSMDetector:
    return SSMDetector(modes="x3").fit(readings[:TRAIN])


def _with_faults(readings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift a tag by three spreads of the quiet mode, for 60 rows in each quiet stretch."""
    faulty, labels = readings.copy(), np.zeros(ROWS, dtype=int)
    for start in range(5500, ROWS - 60, 600):
        faulty[start : start + 60, 0] += 0.6
        labels[start : start + 60] = 1
    return faulty, labels


def test_a_fault_in_the_quiet_mode_is_found_better(
    readings: np.ndarray, fitted: SSMDetector
) -> None:
    """The loud mode no longer sets the tables of both."""
    faulty, labels = _with_faults(readings)
    without = SSMDetector().fit(readings[:TRAIN])
    areas = [average_precision(labels, d.anomaly_score(faulty)) for d in (without, fitted)]
    assert areas[1] > areas[0] + 0.2


def test_false_alarms_are_shared_between_the_modes(
    readings: np.ndarray, fitted: SSMDetector
) -> None:
    """1 % of unseen normal rows in each mode within a factor 2.5: forty stretches at most."""
    scores = np.concatenate([fitted.anomaly_score(_plant(seed)) for seed in range(1, 4)])
    loud = np.tile(readings[:, 3], 3) > 0
    for mode in (loud, ~loud):
        assert 0.004 < np.mean(scores[mode] > 2.0) < 0.025


def test_online_equals_batch_to_the_bit(readings: np.ndarray, fitted: SSMDetector) -> None:
    holed = readings[:700].copy()
    holed[100:120, 3] = np.nan
    holed[200] = np.nan
    stepper, fleet = Stepper(fitted), Stepper(fitted, assets=("a", "b"))
    batch = fitted.anomaly_score(holed)
    np.testing.assert_array_equal([stepper.step(row).score for row in holed], batch)
    many = [fleet.step_many(np.stack([row, row])).score for row in holed]
    np.testing.assert_array_equal(many, np.stack([batch, batch], axis=1))


def test_the_mode_is_found_and_none_where_there_is_none(readings: np.ndarray) -> None:
    found = SSMDetector(modes="auto").fit(readings[:TRAIN])
    assert found.modes_ is not None
    assert found.modes_.tag == 3
    even = _plant(0, ratio=1.0)[:TRAIN]
    plain = SSMDetector(modes="auto").fit(even)
    assert plain.modes_ is None
    np.testing.assert_array_equal(
        plain.anomaly_score(even), SSMDetector().fit(even).anomaly_score(even)
    )


def test_a_saved_model_keeps_its_modes(
    readings: np.ndarray, fitted: SSMDetector, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    loaded = SSMDetector.load(tmp_path)
    np.testing.assert_array_equal(loaded.anomaly_score(readings), fitted.anomaly_score(readings))
    text = (tmp_path / "model.json").read_text()
    assert '"mode_tag": 3' in text
    for wrong in ("4", "-1", "1.5", "true", '"x3"'):
        (tmp_path / "model.json").write_text(text.replace('"mode_tag": 3', f'"mode_tag": {wrong}'))
        with pytest.raises(ModelFileError, match="mode_tag is"):
            SSMDetector.load(tmp_path)


def test_news_of_a_fixed_tag_is_news_in_any_mode(readings: np.ndarray) -> None:
    fixed = np.column_stack([readings, np.ones(ROWS)])
    detector = SSMDetector(modes="x3").fit(fixed[:TRAIN])
    fixed[TRAIN + 10 : TRAIN + 14, 4] = 2.0
    fixed[TRAIN + 310 : TRAIN + 314, 4] = 2.0
    alarmed = detector.predict(fixed) == -1
    assert alarmed[TRAIN + 10 : TRAIN + 14].all()
    assert alarmed[TRAIN + 310 : TRAIN + 314].all()


def test_a_tag_that_tells_no_mode_is_refused(readings: np.ndarray) -> None:
    with pytest.raises(UnknownTagError, match="x9"):
        SSMDetector(modes="x9").fit(readings)
    with pytest.raises(ConfigError, match="2 to 8"):
        SSMDetector(modes="x0").fit(readings)
    with pytest.raises(ConfigError, match="modes=0, wanted the name of a tag"):
        SSMDetector(modes=0).fit(readings)  # pyright: ignore[reportArgumentType]
