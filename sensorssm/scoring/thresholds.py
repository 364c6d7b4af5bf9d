"""The score above which an anomaly starts, from a false-alarm budget alone."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ConfigError
from sensorssm.scoring.events import find_events

FloatArray = NDArray[np.float64]

WEEK_S = 7 * 24 * 3600.0
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PERIOD = re.compile(r"\s*(\d+(?:\.\d+)?)?\s*(s|min|h|d)\s*")


def threshold_for_rate(rate: float, rows: float = math.inf) -> float:
    """Return the threshold of a score for `rate` false alarms a row.

    The score is calibrated on `rows`, or goes on learning from all that come.
    """
    if not (isinstance(rate, Real) and 0.0 < rate < 1.0):
        raise ConfigError(f"false_alarm_rate is {rate!r}, wanted a share of rows in (0, 1)")
    return float(-np.log10(_tightened(rate, rows)))


def _tightened(rate: float, rows: float) -> float:
    """Return `rate` a row, less the counting error of what `rows` of normal operation can show.

    The fewer alarms the training rows should have shown, the less they say of how often they come.
    """
    seen = rate * max(rows, 1.0)
    return rate / (1.0 + 1.0 / math.sqrt(seen) + 1.0 / seen)


def threshold_for_budget(
    scores: FloatArray,
    starts: NDArray[np.int64],
    *,
    budget: float,
    period_s: float,
    on_delay: int,
    off_delay: int,
) -> float:
    """Return the threshold for `budget` false alarms (events) an asset and week.

    `scores` are calibrated, from held-back rows of normal operation. Alarms come in runs, so there
    are fewer of them than rows above the threshold: how many rows make one alarm is counted where
    alarms are still frequent, and the score's own p-value carries it to rare ones. The budget is
    tightened by the counting error, as a rate is.
    """
    alarms = _tightened(_share_of_rows(budget, period_s), len(scores))
    return _level_of(alarms * _rows_per_alarm(scores, starts, on_delay, off_delay))


def threshold_for_learner(budget: float, period_s: float) -> float:
    """Return the threshold for `budget` false alarms a week of a score that goes on learning.

    Its p-values rest on all rows so far and hold after any number of them: there is no counting
    error to allow for. Each row above counts as an alarm, for how they come together would be
    counted in the training rows alone.
    """
    return _level_of(_share_of_rows(budget, period_s))


def _share_of_rows(budget: float, period_s: float) -> float:
    """Return alarms a row."""
    if not (isinstance(budget, Real) and budget > 0.0):
        raise ConfigError(f"alarm_budget is {budget!r}, wanted false alarms a week above 0")
    return budget * period_s / WEEK_S


def _level_of(share: float) -> float:
    """Return the calibrated score that a share of rows is above; at most half of them."""
    return float(-np.log10(min(share, 0.5)))


def _rows_per_alarm(
    scores: FloatArray, starts: NDArray[np.int64], on_delay: int, off_delay: int
) -> float:
    """Return expected rows above a threshold over alarms there, at the highest level counted."""
    for level in np.arange(3.0, 0.4, -0.25):
        alarms = len(find_events(scores > level, starts, on_delay=on_delay, off_delay=off_delay))
        if alarms >= 10:
            return len(scores) * 10.0**-level / alarms
    return 1.0


def period_seconds(period: float | timedelta | str | None) -> float | None:
    """Return a sampling period in seconds: a number of seconds, a timedelta, or as ``"5min"``."""
    if period is None:
        return None
    if isinstance(period, timedelta):
        seconds = period.total_seconds()
    elif isinstance(period, str):
        match = _PERIOD.fullmatch(period)
        if match is None:
            raise ConfigError(f"period is {period!r}, wanted a number and s, min, h or d: '5min'")
        seconds = float(match[1] or 1.0) * _UNITS[match[2]]
    else:
        seconds = float(period)
    if not seconds > 0.0:
        raise ConfigError(f"period is {period!r}, wanted a time above 0")
    return seconds
