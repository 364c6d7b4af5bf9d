"""What the detector must beat: a moving z-score, and principal components with T2 and Q."""

from __future__ import annotations

import itertools
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from sensorssm.estimators.base import WindowEstimator
from sensorssm.scoring.scaling import fit_scaling

FloatArray = NDArray[np.float64]


class _BaselineDetector(OutlierMixin, WindowEstimator):
    """A baseline gives `_learn(values)` and `_score(values)`; the rest is the same for all.

    The threshold is the training rows' quantile, as is the custom; no row is held back.
    """

    false_alarm_rate: float

    def fit(self, X: Any, y: Any = None, *, times: Any = None, groups: Any = None) -> Self:
        """Learn normal operation from `X` (n, M); `y` is ignored."""
        window = self._window(X, times=times, groups=groups, reset=True, ensure_min_samples=2)
        self._learn(_filled(window.values))
        scores = self.anomaly_score(X, times=times, groups=groups)
        self.threshold_ = float(np.quantile(scores, 1.0 - self.false_alarm_rate))
        self.offset_ = -self.threshold_
        return self

    def anomaly_score(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return how anomalous each row is, (n,): larger is worse."""
        check_is_fitted(self)
        window = self._window(X, times=times, groups=groups)
        edges = [*window.starts, len(window.values)]
        parts = [
            self._score(_filled(window.values[first:end]))
            for first, end in itertools.pairwise(edges)
        ]
        return np.concatenate(parts)

    def score_samples(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return the score with scikit-learn's sign: lower is more anomalous."""
        return -self.anomaly_score(X, times=times, groups=groups)

    def decision_function(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return scikit-learn's decision: below 0 is anomalous."""
        return self.score_samples(X, times=times, groups=groups) - self.offset_

    def predict(self, X: Any, *, times: Any = None, groups: Any = None) -> NDArray[np.int64]:
        """Return -1 where a row is anomalous and +1 elsewhere."""
        return np.where(self.decision_function(X, times=times, groups=groups) < 0.0, -1, 1)

    def _learn(self, values: FloatArray) -> None:
        raise NotImplementedError

    def _score(self, values: FloatArray) -> FloatArray:
        raise NotImplementedError


class RollingZ(_BaselineDetector):
    """Score a row by the largest z-score of any tag against its own recent mean and spread.

    Parameters
    ----------
    span : time constant of the mean and of the spread, rows
    false_alarm_rate : share of the training rows above the threshold
    """

    def __init__(self, *, span: float = 100.0, false_alarm_rate: float = 1e-3) -> None:
        self.span = span
        self.false_alarm_rate = false_alarm_rate

    def _learn(self, values: FloatArray) -> None:
        self.scaling_ = fit_scaling(values)

    def _score(self, values: FloatArray) -> FloatArray:
        z = (values - self.scaling_.center) / self.scaling_.scale
        mean = _before(z, self.span)
        # The training spread is a floor: a tag that rests is not anomalous when it stirs a little.
        var = _before((z - mean) ** 2, self.span) + 0.05
        return np.sqrt(((z - mean) ** 2 / var).max(axis=1))


class PCAT2Q(_BaselineDetector):
    """Score a row by Hotelling's T2 in, and the squared distance Q from, the principal plane.

    Each is divided by its 99 % quantile in training; the larger counts.

    Parameters
    ----------
    variance : share of the variance that the plane holds
    false_alarm_rate : share of the training rows above the threshold
    """

    def __init__(self, *, variance: float = 0.9, false_alarm_rate: float = 1e-3) -> None:
        self.variance = variance
        self.false_alarm_rate = false_alarm_rate

    def _learn(self, values: FloatArray) -> None:
        spread = values.std(axis=0)
        self.center_ = values.mean(axis=0)
        self.scale_ = np.where(spread > 1e-9 * (np.abs(self.center_) + 1.0), spread, 1.0)
        z = (values - self.center_) / self.scale_
        power, axes = np.linalg.eigh(z.T @ z / len(z))
        power, axes = np.maximum(power[::-1], 1e-9), axes[:, ::-1]
        count = int(np.searchsorted(np.cumsum(power) / power.sum(), self.variance)) + 1
        self.axes_, self.power_ = axes[:, :count], power[:count]
        self.limits_ = np.maximum(np.quantile(self._distances(values), 0.99, axis=1), 1e-9)

    def _distances(self, values: FloatArray) -> FloatArray:
        z = (values - self.center_) / self.scale_
        plane = z @ self.axes_
        off = (z**2).sum(axis=1) - (plane**2).sum(axis=1)
        return np.stack([(plane**2 / self.power_).sum(axis=1), np.maximum(off, 0.0)])

    def _score(self, values: FloatArray) -> FloatArray:
        return (self._distances(values) / self.limits_[:, None]).max(axis=0)


def _before(values: FloatArray, span: float) -> FloatArray:
    """Return the exponential average of the rows before each row; the first row's is itself."""
    gain = 1.0 / span
    start = (1.0 - gain) * values[:1]
    smooth, _ = lfilter([gain], [1.0, gain - 1.0], values, axis=0, zi=start)
    return np.vstack([values[:1], smooth[:-1]])


def _filled(values: FloatArray) -> FloatArray:
    """Hold the last reading where one is missing; 0 before the first."""
    known = np.isfinite(values)
    at = np.maximum.accumulate(np.where(known, np.arange(len(values))[:, None], 0), axis=0)
    held = np.take_along_axis(values, at, axis=0)
    return np.where(np.isfinite(held), held, 0.0)
