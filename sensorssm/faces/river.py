"""SSMDetector as River knows detectors: one dict of readings at a time, in constant time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river.base import AnomalyDetector

from sensorssm.errors import ConfigError
from sensorssm.estimators import detector as own
from sensorssm.scoring import advance, fold, state_size, statistics_of

FloatArray = NDArray[np.float64]


class SSMDetector(AnomalyDetector):
    """`sensorssm.SSMDetector` behind River's interface: `score_one`, then `learn_one`.

    The first `grace` rows, of normal operation, are kept and fitted on; scores are 0 until then.
    After that the coefficients stand still, and `learn_one` only moves the memory that the next
    score is made from: call it with every row, anomalous or not.

    Tags are those seen in the grace rows. One that is absent from a row is missing there; one that
    first comes later is left out.

    Parameters
    ----------
    grace : rows to fit on
    false_alarm_rate : false alarms a row of normal operation, behind `detector.threshold_`

    Examples
    --------
    >>> import numpy as np
    >>> from sensorssm.faces.river import SSMDetector
    >>> model, rng = SSMDetector(grace=300), np.random.default_rng(0)
    >>> for level, flow in rng.normal(size=(400, 2)):
    ...     model.learn_one({"level": level, "flow": flow})
    >>> model.score_one({"level": 0.1, "flow": 20.0}) > model.detector.threshold_
    True
    """

    def __init__(self, grace: int = 500, false_alarm_rate: float = 1e-3) -> None:
        if grace < 2:
            raise ConfigError(f"grace is {grace!r}, wanted 2 rows or more to learn from")
        self.grace = grace
        self.false_alarm_rate = false_alarm_rate
        self._rows: list[dict[Any, float]] = []
        self._names: list[Any] = []
        self._state = np.empty(0)
        self._detector: own.SSMDetector | None = None

    @property
    def detector(self) -> own.SSMDetector | None:
        """Return the fitted detector; None before the grace rows are complete."""
        return self._detector

    def score_one(self, x: Mapping[Any, Any]) -> float:
        """Return how anomalous `x` would be as the next row: 0 is normal, or not known."""
        if self._detector is None:
            return 0.0
        score = self._advance(self._detector, self._state.copy(), _readings(x))
        return 0.0 if np.isnan(score) else score

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        """Take `x` as the next row."""
        readings = _readings(x)
        if self._detector is not None:
            self._advance(self._detector, self._state, readings)
        elif readings:  # a tag must be seen to be learnt
            self._rows.append(readings)
            if len(self._rows) >= self.grace:
                self._fit()

    def _fit(self) -> None:
        """Fit on the grace rows, let them through the memory, and forget them."""
        self._names = sorted({tag for row in self._rows for tag in row}, key=str)
        table = np.stack([self._values(row) for row in self._rows])
        self._rows = []
        self._detector = own.SSMDetector(false_alarm_rate=self.false_alarm_rate).fit(table)
        cell = self._detector.cell_
        self._state, spare = np.zeros(state_size(cell)), np.empty((1, len(self._names)))
        stats, ones = np.empty((1, statistics_of(cell))), np.ones(len(table))
        fold(cell, self._state, table, ones, np.empty(len(table)), spare, spare, stats)

    def _advance(
        self, detector: own.SSMDetector, state: FloatArray, x: Mapping[Any, float]
    ) -> float:
        expected, shares = np.empty(len(self._names)), np.empty(len(self._names))
        stats = np.empty(statistics_of(detector.cell_))
        return advance(detector.cell_, state, self._values(x), 1.0, expected, shares, stats)

    def _values(self, x: Mapping[Any, float]) -> FloatArray:
        return np.array([x.get(tag, np.nan) for tag in self._names], dtype=np.float64)


def _readings(x: Mapping[Any, Any]) -> dict[Any, float]:
    """Return what `x` tells; None, NaN and infinity are missing readings."""
    numbers = {tag: float(value) for tag, value in x.items() if value is not None}
    return {tag: value for tag, value in numbers.items() if np.isfinite(value)}
