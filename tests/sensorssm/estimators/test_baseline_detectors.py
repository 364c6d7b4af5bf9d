"""The baselines find what they are known to find, and say so with scikit-learn's signs."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA

from sensorssm.estimators.baseline_detectors import PCAT2Q, RollingZ

BASELINES = [RollingZ(), PCAT2Q()]


def _readings(rows: int = 800, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(rows, 5))


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: type(b).__name__)
def test_a_spike_is_the_worst_row(baseline: RollingZ | PCAT2Q) -> None:
    readings = _readings()
    detector = clone(baseline).fit(readings)
    readings[400, 2] += 30.0
    assert detector.anomaly_score(readings).argmax() == 400
    assert detector.predict(readings)[400] == -1
    np.testing.assert_array_equal(
        detector.decision_function(readings), detector.threshold_ - detector.anomaly_score(readings)
    )


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: type(b).__name__)
def test_later_rows_change_no_earlier_score(baseline: RollingZ | PCAT2Q) -> None:
    readings = _readings()
    readings[100:120, 1] = np.nan
    detector = clone(baseline).fit(readings)
    np.testing.assert_array_equal(
        detector.anomaly_score(readings[:300]), detector.anomaly_score(readings)[:300]
    )
    assert np.isfinite(detector.anomaly_score(readings)).all()


def test_the_training_rows_exceed_the_threshold_as_often_as_asked() -> None:
    readings = _readings(5000)
    for baseline in (RollingZ(false_alarm_rate=0.02), PCAT2Q(false_alarm_rate=0.02)):
        assert np.mean(baseline.fit(readings).predict(readings) == -1) == pytest.approx(0.02)


def test_pca_is_scikit_learns() -> None:
    """T2 and Q are the whitened scores and the reconstruction error of sklearn's PCA."""
    readings = _readings()
    detector = PCAT2Q().fit(readings)
    z = (readings - readings.mean(axis=0)) / readings.std(axis=0)
    pca = PCA(n_components=0.9).fit(z)
    inside = pca.transform(z)
    power = pca.explained_variance_ * (len(z) - 1) / len(z)
    t2 = (inside**2 / power).sum(axis=1)
    q = ((z - pca.inverse_transform(inside)) ** 2).sum(axis=1)
    np.testing.assert_allclose(detector._distances(readings), [t2, q], rtol=1e-6, atol=1e-9)


def test_the_moving_average_is_of_the_rows_before() -> None:
    """The z-score of a row against averages written out one row after the other."""
    readings = _readings(50)
    detector = RollingZ(span=7.0).fit(readings)
    z = (readings - detector.scaling_.center) / detector.scaling_.scale
    mean, var, expected = z[0].copy(), np.zeros(5), []
    for row in z:
        squared = (row - mean) ** 2
        expected.append(np.sqrt((squared / (var + 0.05)).max()))
        var += (squared - var) / 7.0
        mean += (row - mean) / 7.0
    np.testing.assert_allclose(detector.anomaly_score(readings), expected, rtol=1e-9)
