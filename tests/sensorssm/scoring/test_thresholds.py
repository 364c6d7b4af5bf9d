"""The threshold follows from the budget alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from sensorssm.errors import ConfigError
from sensorssm.scoring import (
    find_events,
    period_seconds,
    threshold_for_budget,
    threshold_for_learner,
    threshold_for_rate,
)
from sensorssm.scoring.thresholds import WEEK_S


def test_a_rate_is_a_level_of_the_calibrated_score() -> None:
    """As far as enough rows have shown what it says: a billion tell a thousandth within 1 %."""
    assert threshold_for_rate(1e-3, 10**9) == pytest.approx(3.0, abs=0.005)


def test_the_fewer_rows_a_rate_is_known_from_the_higher_its_threshold() -> None:
    """One alarm seen in 1,000 rows leaves room for three times as many; none more than asked."""
    thresholds = [threshold_for_rate(1e-3, rows) for rows in (10, 100, 1000, 10_000)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[2] == pytest.approx(3.0 + np.log10(3.0))
    assert thresholds[3] > 3.0


@pytest.mark.parametrize("rate", [0.0, 1.0, -1.0, float("nan"), "x", None])
def test_a_rate_outside_the_open_unit_interval_is_refused(rate: Any) -> None:
    with pytest.raises(ConfigError, match="false_alarm_rate"):
        threshold_for_rate(rate, 1000)


@pytest.mark.parametrize("run", [1, 10])
def test_the_budget_counts_alarms_and_not_rows(run: int) -> None:
    """Scores that stay for `run` rows give the asked number of alarms a week, within 30 %."""
    rng = np.random.default_rng(run)
    rows, period_s, budget = 400_000, 60.0, 7.0
    scores = np.repeat(-np.log10(rng.random(rows // run)), run)
    starts = np.array([0])
    threshold = threshold_for_budget(
        scores, starts, budget=budget, period_s=period_s, on_delay=1, off_delay=1
    )
    weeks = rows * period_s / WEEK_S
    assert len(find_events(scores > threshold, starts)) / weeks == pytest.approx(budget, rel=0.3)


def test_what_goes_on_learning_is_given_its_budget_as_a_share_of_rows() -> None:
    assert threshold_for_learner(10.08, 60.0) == pytest.approx(3.0)  # a week has 10,080 minutes
    assert threshold_for_learner(1e9, 60.0) == pytest.approx(np.log10(2.0))


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), "1", None])
def test_a_budget_that_is_no_number_of_alarms_is_refused(budget: Any) -> None:
    with pytest.raises(ConfigError, match="alarm_budget"):
        threshold_for_learner(budget, 60.0)


@pytest.mark.parametrize("period", [300, 300.0, "5min", "300 s", timedelta(minutes=5)])
def test_a_period_is_seconds_however_it_is_written(period: object) -> None:
    assert period_seconds(period) == 300.0


@pytest.mark.parametrize("period", ["5 parsecs", "", 0, -1.0, timedelta(0)])
def test_a_period_that_is_no_time_is_refused(period: object) -> None:
    with pytest.raises(ConfigError, match="period"):
        period_seconds(period)
