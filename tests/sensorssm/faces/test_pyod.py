"""The PyOD face keeps PyOD's contract, and is the detector underneath."""

from __future__ import annotations

import numpy as np
import pytest
from pyod.models.base import BaseDetector
from scipy.stats import rankdata
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from sensorssm import SSMDetector as Own
from sensorssm.faces.pyod import SSMDetector


def _readings(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three tags that follow one cause; every 25th row one of them is off."""
    rng = np.random.default_rng(seed)
    cause = np.sin(np.arange(rows) / 15)
    values = np.outer(cause, [1.0, -2.0, 0.5]) + rng.normal(scale=0.1, size=(rows, 3))
    labels = (np.arange(rows) % 25 == 24).astype(int)
    values[labels == 1, 1] += 3.0
    return values, labels


@pytest.fixture(scope="module")
def train() -> np.ndarray:
    return _readings(500, 0)[0]


@pytest.fixture(scope="module")
def fitted(train: np.ndarray) -> SSMDetector:
    return SSMDetector(contamination=0.04).fit(train)


TEST, TRUTH = _readings(200, 1)


def test_it_is_a_pyod_detector_with_pyods_fitted_attributes(
    fitted: SSMDetector, train: np.ndarray
) -> None:
    """The contaminated share of the training rows lies above the threshold, labelled 1."""
    assert isinstance(fitted, BaseDetector)
    assert fitted.decision_scores_.shape == fitted.labels_.shape == (len(train),)
    np.testing.assert_array_equal(fitted.labels_, fitted.decision_scores_ > fitted.threshold_)
    assert fitted.labels_.sum() == 20  # 4 % of 500 rows


def test_scores_are_the_detectors_own(fitted: SSMDetector, train: np.ndarray) -> None:
    np.testing.assert_array_equal(
        fitted.decision_function(TEST), Own().fit(train).anomaly_score(TEST)
    )


def test_larger_scores_are_worse_and_labels_are_0_and_1(fitted: SSMDetector) -> None:
    scores, labels = fitted.decision_function(TEST), fitted.predict(TEST)
    assert roc_auc_score(TRUTH, scores) > 0.95
    assert set(labels.tolist()) == {0, 1}
    np.testing.assert_array_equal(labels, scores > fitted.threshold_)


@pytest.mark.parametrize("method", ["linear", "unify"])
def test_probabilities_are_probabilities_that_rise_with_the_score(
    fitted: SSMDetector, method: str
) -> None:
    chance = fitted.predict_proba(TEST, method=method)
    assert chance.shape == (200, 2)
    np.testing.assert_allclose(chance.sum(axis=1), 1.0)
    assert chance.min() >= 0.0
    order = np.argsort(fitted.decision_function(TEST))
    assert (np.diff(chance[order, 1]) >= 0.0).all()
    with pytest.raises(ValueError, match="not a valid"):
        fitted.predict_proba(TEST, method="something")


def test_confidence_and_rejection_work_on_its_scores(fitted: SSMDetector) -> None:
    labels, confidence = fitted.predict(TEST, return_confidence=True)
    assert confidence.min() >= 0.0
    assert confidence.max() <= 1.0
    np.testing.assert_array_equal(confidence, fitted.predict_confidence(TEST))
    kept = fitted.predict_with_rejection(TEST, T=10, c_r=0.1)
    assert set(kept.tolist()) == {-2, 0, 1}
    assert (labels[kept != -2] == kept[kept != -2]).all()


def test_ranks_keep_the_order_of_the_scores(fitted: SSMDetector, train: np.ndarray) -> None:
    """Within the ties that rows between the same two training scores make."""
    ranks = fitted._predict_rank(TEST)
    np.testing.assert_allclose(
        rankdata(ranks), rankdata(fitted.decision_function(TEST)), atol=len(TEST) / 20
    )
    assert ranks.max() <= len(train)
    assert fitted._predict_rank(TEST, normalized=True).max() == 1.0


def test_pyods_older_calls_still_answer(train: np.ndarray) -> None:
    with pytest.warns(FutureWarning):
        labels = SSMDetector(contamination=0.04).fit_predict(train)
    assert labels.sum() == 20
    with pytest.warns(UserWarning, match="y should not be presented"):
        SSMDetector().fit(train, np.zeros(len(train), dtype=int))


def test_parameters_are_kept_and_cloned() -> None:
    model = SSMDetector(contamination=0.2, alarm_budget=1.0, period="5min")
    assert clone(model).get_params() == {
        "contamination": 0.2, "false_alarm_rate": None, "alarm_budget": 1.0, "period": "5min",
    }  # fmt: skip
    with pytest.raises(ValueError, match="contamination"):
        SSMDetector(contamination=0.7)


@pytest.mark.parametrize(
    "budget", [{"false_alarm_rate": 1e-2}, {"alarm_budget": 7.0, "period": "5min"}]
)
def test_a_budget_sets_the_threshold_in_place_of_a_guessed_share(
    budget: dict, train: np.ndarray
) -> None:
    face, own = SSMDetector(**budget).fit(train), Own(**budget).fit(train)
    assert face.threshold_ == own.threshold_
    np.testing.assert_array_equal(face.predict(TEST) == 1, own.predict(TEST) == -1)
    np.testing.assert_array_equal(face.labels_, face.decision_scores_ > own.threshold_)


def test_a_row_without_readings_scores_0(fitted: SSMDetector) -> None:
    holed = TEST.copy()
    holed[50] = np.nan
    assert fitted.decision_function(holed)[50] == 0.0
