"""SSMDetector as PyOD knows detectors: larger scores are worse, labels are 0 and 1."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pyod.models.base import BaseDetector
from sklearn.utils.validation import check_is_fitted

from sensorssm.estimators import detector as own

FloatArray = NDArray[np.float64]


class SSMDetector(BaseDetector):
    """`sensorssm.SSMDetector` behind PyOD's interface. Rows are in the order of time.

    PyOD sets the threshold where the share `contamination` of the training rows lies above it. The
    score is calibrated, so a budget may set it instead: give `false_alarm_rate` or `alarm_budget`.

    Parameters
    ----------
    contamination : share of the training rows that are anomalous, in (0, 0.5]; or a thresholder
    false_alarm_rate, alarm_budget, period : see `sensorssm.SSMDetector`; None leaves the threshold
        to `contamination`

    Attributes
    ----------
    decision_scores_ : (n,) scores of the training rows; labels_ : (n,) 0 or 1
    threshold_ : the score above which a row is anomalous
    detector_ : the fitted `sensorssm.SSMDetector`, for `explain`, `events` and `save`

    Examples
    --------
    >>> import numpy as np
    >>> from sensorssm.faces.pyod import SSMDetector
    >>> readings = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = SSMDetector(false_alarm_rate=1e-3).fit(readings)
    >>> readings[-1, 1] += 20.0
    >>> int(detector.predict(readings)[-1])
    1
    """

    def __init__(
        self,
        contamination: Any = 0.1,
        *,
        false_alarm_rate: float | None = None,
        alarm_budget: float | None = None,
        period: Any = None,
    ) -> None:
        super().__init__(contamination=contamination)
        self.false_alarm_rate = false_alarm_rate
        self.alarm_budget = alarm_budget
        self.period = period

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn normal operation from `X` (n, M); `y` is ignored, as PyOD has it."""
        self._set_n_classes(y)
        budget = {
            name: value
            for name in ("false_alarm_rate", "alarm_budget")
            if (value := getattr(self, name)) is not None
        }
        self.detector_ = own.SSMDetector(period=self.period, **budget).fit(X)
        self.decision_scores_ = _known(self.detector_.anomaly_score(X))
        self._process_decision_scores()
        if budget:
            self.threshold_ = self.detector_.threshold_
            self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Return how anomalous each row is, (n,): larger is worse, 0 where nothing was read."""
        check_is_fitted(self, "detector_")
        return _known(self.detector_.anomaly_score(X))


def _known(scores: FloatArray) -> FloatArray:
    """Return the scores with 0 for NaN: PyOD ranks every row, and an unread one shows nothing."""
    return np.where(np.isnan(scores), 0.0, scores)
