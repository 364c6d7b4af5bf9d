"""SSMDetector: how anomalous each row of readings is, whose fault it is, and when to call it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from sensorssm.errors import ConfigError
from sensorssm.estimators.base import WindowEstimator
from sensorssm.estimators.cell_parts import from_parts, to_parts
from sensorssm.estimators.event_table import event_columns
from sensorssm.estimators.folder import Arrays, ModelFolder
from sensorssm.estimators.labels import (
    Label,
    labels_of,
    moved_threshold,
    read_kinds,
    rows_to_learn,
    with_new,
)
from sensorssm.estimators.mode_choice import modes_of
from sensorssm.frames import Window, is_frame, like
from sensorssm.scoring import (
    Options,
    Rows,
    describe_events,
    find_events,
    fit_trimmed,
    fold,
    period_seconds,
    rescore,
    state_size,
    statistics_of,
    threshold_for_budget,
    threshold_for_learner,
    threshold_for_rate,
)

FloatArray = NDArray[np.float64]


class SSMDetector(ModelFolder, OutlierMixin, WindowEstimator):
    """Detect anomalies with a fixed diagonal SSM over all tags and calibrated scores.

    The score is -log10 of a p-value, learnt on training rows held back from the coefficients: 3
    means one in a thousand rows of normal operation. It compares between assets and models. Where
    there is one tag alone, it goes on learning, as `sensorssm.scoring.precedents` says.

    Parameters
    ----------
    false_alarm_rate : false alarms a row of normal operation, at most: the fewer training rows,
        the more careful the threshold
    alarm_budget : false alarms an asset and week instead, counted as events after the delays;
        needs `times` in `fit` or `period`
    period : sampling period where there are no times: seconds, a timedelta, or as ``"5min"``
    on_delay, off_delay : rows above the threshold that open an event; rows below that close it
    modes : tag that tells the operating mode, by at most 8 values: each mode has a calibration of
        its own. "auto" takes the switch under which scores differ most, if any does
    random_state : unused; the fit is deterministic

    Attributes
    ----------
    modes_ : the modes' calibrations, or None
    threshold_, offset_ : the score where an anomaly starts, and its negative
    fitted_threshold_, labels_ : the threshold before `adjust`, and the labels that moved it
    cell_ : the fitted coefficients
    left_out_ : (n,) training rows that look like faults and were not learnt from; not saved
    fixed_tags_ : tags that never moved in training; one that moves later is anomalous
    period_s_ : seconds of a step, or None
    n_features_in_, feature_names_in_, tags_

    Examples
    --------
    >>> import numpy as np
    >>> from sensorssm import SSMDetector
    >>> readings = np.random.default_rng(0).normal(size=(500, 3))
    >>> detector = SSMDetector().fit(readings)
    >>> readings[-1, 1] += 20.0
    >>> detector.predict(readings)[-1], detector.explain(readings)[-1].argmax()
    (np.int64(-1), np.int64(1))
    """

    def __init__(
        self,
        *,
        false_alarm_rate: float = 1e-3,
        alarm_budget: float | None = None,
        period: Any = None,
        on_delay: int = 1,
        off_delay: int = 6,
        modes: str | None = None,
        random_state: Any = 0,
    ) -> None:
        self.false_alarm_rate = false_alarm_rate
        self.alarm_budget = alarm_budget
        self.period = period
        self.on_delay = on_delay
        self.off_delay = off_delay
        self.modes = modes
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        times: Any = None,
        groups: Any = None,
        labels: ArrayLike | None = None,
        exclude: ArrayLike | None = None,
    ) -> Self:
        """Learn normal operation from `X` (n, M); `y` is ignored.

        Parameters
        ----------
        times, groups : each row's time and asset, where `X` has no such columns
        labels : (n,) nonzero where a row is known to be anomalous; not learnt from. Or the kinds
            that `adjust` takes, of which false alarms are learnt from
        exclude : (n,) True where a row is not to be learnt from, whatever the reason
        """
        window = self._window(X, times=times, groups=groups, reset=True, ensure_min_samples=2)
        keep = rows_to_learn(len(window.values), labels, exclude)
        self.period_s_ = period_seconds(self.period) or (
            window.period_s if window.time is not None else None
        )
        if self.period is not None:  # measure the times in that step, as scoring will
            window = self._window(X, times=times, groups=groups)
        rows = Rows(window.values, window.elapsed, window.starts, keep)
        cell, held_back, self.left_out_ = fit_trimmed(rows, Options())
        held_back = np.where(rows.keep & ~self.left_out_, held_back, np.nan)
        self.modes_ = modes_of(self.modes, self.tags_, window.values, held_back)
        self.cell_ = cell
        held_back = self.in_mode(held_back, window.values)
        threshold = self._threshold(held_back, window.starts)
        self.cell_ = cell._replace(novelty=max(cell.novelty, threshold + 0.5))
        self._hear(threshold, ())
        return self

    def adjust(self, X: Any, labels: ArrayLike, *, times: Any = None, groups: Any = None) -> Self:
        """Move the threshold by what people say of the alarms in `X` (n, M).

        False alarms raise it by as little as silences them, and never past a labelled fault that
        the fitted threshold finds. All labels given since `fit` count, and are saved with the
        model; one of the same asset and times replaces the one before.

        Parameters
        ----------
        labels : (n,) "fault", "false_alarm", "maintenance" (left out), or "" where nothing is said
        """
        window = self._checked(X, times, groups)
        kinds = read_kinds(labels, len(window.values))
        new = labels_of(window, kinds, self._fold(window)[0], self.on_delay)
        self._hear(self.fitted_threshold_, with_new(self.labels_, new))
        return self

    def in_mode(self, scores: FloatArray, values: FloatArray) -> FloatArray:
        """Return scores (n,) of the cell as they count in the mode of each row of `values` (n, M).

        A tag that never moved before is news in any mode: such a row keeps its score.
        """
        if self.modes_ is None:
            return scores
        return np.where(scores == self.cell_.novelty, scores, rescore(self.modes_, scores, values))

    @property
    def fixed_tags_(self) -> tuple[str, ...]:
        """Return the tags that never moved in training."""
        return tuple(tag for tag, fixed in zip(self.tags_, self.cell_.fixed, strict=True) if fixed)

    def anomaly_score(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return how anomalous each row is, (n,): 0 is normal, larger is worse, NaN is unknown."""
        return self._run(X, times, groups)[0]

    def p_value(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return the share of normal rows that look as anomalous as each row, (n,)."""
        return 10.0 ** -self.anomaly_score(X, times=times, groups=groups)

    def score_samples(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return the score with scikit-learn's sign, (n,): lower is more anomalous."""
        return -self.anomaly_score(X, times=times, groups=groups)

    def decision_function(self, X: Any, *, times: Any = None, groups: Any = None) -> FloatArray:
        """Return scikit-learn's decision, (n,): below 0 is anomalous."""
        return self.score_samples(X, times=times, groups=groups) - self.offset_

    def predict(self, X: Any, *, times: Any = None, groups: Any = None) -> NDArray[np.int64]:
        """Return -1 where a row is anomalous and +1 elsewhere, (n,)."""
        decision = self.decision_function(X, times=times, groups=groups)
        return np.where(decision < 0.0, -1, 1)

    def explain(self, X: Any, *, times: Any = None, groups: Any = None) -> Any:
        """Return each tag's share of each row's score, (n, M); rows sum to 1."""
        _, _, shares = self._run(X, times, groups, shares=True)
        return self._like(X, shares)

    def expected(self, X: Any, *, times: Any = None, groups: Any = None) -> Any:
        """Return what each row should have been, from the rows before it, (n, M), tag units."""
        _, expected, _ = self._run(X, times, groups, expected=True)
        return self._like(X, expected)

    def events(self, X: Any, *, times: Any = None, groups: Any = None) -> Any:
        """Return the anomalies of `X` as intervals, in the caller's kind of frame (array: a dict).

        Columns: asset, started, ended (half open; times, or row numbers without them), peak (the
        largest score), p_value, first_tag (who moved first), tags (the most blamed, joined) and
        new_tags (those that never moved in training and do here, joined).
        """
        window = self._checked(X, times, groups)
        scores, _, shares = self._fold(window, shares=True)
        intervals = find_events(
            scores > self.threshold_,
            window.starts,
            on_delay=self.on_delay,
            off_delay=self.off_delay,
        )
        events = describe_events(intervals, scores, shares)
        columns = event_columns(events, window, scores, self.tags_, self.cell_)
        return like(X, columns) if is_frame(X) else columns

    def _hear(self, fitted_threshold: float, labels: tuple[Label, ...]) -> None:
        self.fitted_threshold_, self.labels_ = fitted_threshold, labels
        self.threshold_ = moved_threshold(fitted_threshold, labels)
        self.offset_ = -self.threshold_

    def _threshold(self, held_back: FloatArray, starts: NDArray[np.int64]) -> float:
        learns_on = len(self.cell_.weights) > 0
        if self.alarm_budget is None:
            rows = np.inf if learns_on else float(np.isfinite(held_back).sum())
            return threshold_for_rate(self.false_alarm_rate, rows)
        if self.period_s_ is None:
            raise ConfigError(
                "alarm_budget counts alarms a week and needs to know how long a row is: "
                "give fit `times`, or the detector `period`"
            )
        if learns_on:
            return threshold_for_learner(self.alarm_budget, self.period_s_)
        return threshold_for_budget(
            held_back,
            starts,
            budget=self.alarm_budget,
            period_s=self.period_s_,
            on_delay=self.on_delay,
            off_delay=self.off_delay,
        )

    def _checked(self, X: Any, times: Any, groups: Any) -> Window:
        check_is_fitted(self)
        return self._window(X, times=times, groups=groups)

    def _run(
        self, X: Any, times: Any, groups: Any, *, expected: bool = False, shares: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self._fold(self._checked(X, times, groups), expected=expected, shares=shares)

    def _fold(
        self, window: Window, *, expected: bool = False, shares: bool = False
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return scores (n,), expected and shares (n, M), or (1, M) scratch where not wanted."""
        rows, tags = window.values.shape
        scores = np.empty(rows)
        ahead = np.empty((rows if expected else 1, tags))
        share = np.empty((rows if shares else 1, tags))
        stats = np.empty((1, statistics_of(self.cell_)))
        edges = [*window.starts, rows]
        for first, end in itertools.pairwise(edges):
            part = slice(first, end)
            fold(
                self.cell_,
                np.zeros(state_size(self.cell_)),
                window.values[part],
                window.elapsed[part],
                scores[part],
                ahead[part] if expected else ahead,
                share[part] if shares else share,
                stats,
            )
        return self.in_mode(scores, window.values), ahead, share

    def _like(self, X: Any, matrix: FloatArray) -> Any:
        if not is_frame(X):
            return matrix
        return like(X, dict(zip(self.tags_, matrix.T, strict=True)))

    def _to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        check_is_fitted(self)
        config, arrays = to_parts(self.cell_, self.modes_)
        config |= {
            "params": self.get_params() | {"period": period_seconds(self.period)},
            "threshold": self.fitted_threshold_,
            "labels": [label.as_dict() for label in self.labels_],
            "period_s": self.period_s_,
            "tags": self.tags_ if hasattr(self, "feature_names_in_") else None,
            "count": self.n_features_in_,
        }
        return config, arrays

    @classmethod
    def _from_parts(cls, config: Mapping[str, Any], arrays: Arrays) -> Self:
        model = cls(**config["params"])
        model._recall(config, int(config["count"]))
        labels = tuple(Label.from_dict(label) for label in config.get("labels", ()))
        model._hear(float(config["threshold"]), labels)
        model.cell_, model.modes_ = from_parts(config, arrays, model.n_features_in_)
        return model
