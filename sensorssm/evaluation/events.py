"""Alarms held against anomalies, interval by interval: found, late, false, early, and at what cost.

Intervals are half open, (k, 2): all in rows, or all in times, which then count in seconds. Their
order does not matter, nor whether they touch or overlap.

An alarm belongs to the anomaly in which it *opens*, from `early` before its start to `tolerance`
after its end. One that was open long before finds nothing: a detector that always cries would
find everything, at once, and raise no false alarm.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError
from sensorssm.evaluation.intervals import as_intervals, as_moments

WEEK_S = 7 * 24 * 3600.0
HOUR_S = 3600.0

FloatArray = NDArray[np.float64]


class EventCounts(NamedTuple):
    """What became of anomalies and alarms; a rate over nothing is NaN."""

    precision: float
    recall: float
    f1: float
    found: int
    missed: int
    false_alarms: int


class AlarmCost(NamedTuple):
    """What a detector's alarms cost, in the unit of the prices."""

    total: float
    missed: float
    late: float
    false_alarms: float


def event_counts(
    events: ArrayLike, alarms: ArrayLike, *, tolerance: float = 0.0, early: float = 0.0
) -> EventCounts:
    """Return how many anomalies were found and how many alarms were false.

    Precision is the share of alarms that belong to an anomaly, recall the share of anomalies that
    an alarm belongs to.

    Parameters
    ----------
    events, alarms : (k, 2) anomalies and (m, 2) alarms
    tolerance : how long after an anomaly's end an alarm may open and still belong to it
    early : how long before its start
    """
    belongs = _belongs(events, alarms, tolerance, early)
    known, called = belongs.shape
    found, true = int(belongs.any(axis=1).sum()), int(belongs.any(axis=0).sum())
    precision, recall = share(true, called), share(found, known)
    f1 = share(2 * precision * recall, precision + recall) if found else 0.0
    return EventCounts(
        precision,
        recall,
        f1 if known + called else float("nan"),
        found,
        known - found,
        called - true,
    )


def detection_delays(
    events: ArrayLike, alarms: ArrayLike, *, tolerance: float = 0.0, early: float = 0.0
) -> FloatArray:
    """Return, (k,), how long after each anomaly's start its first alarm opened; NaN if none did.

    In the intervals' unit; 0 where the alarm was `early`. For the parameters see `event_counts`.
    """
    late = _opened(alarms)[None, :] - as_intervals(events, "events")[:, :1]
    late = np.where(_belongs(events, alarms, tolerance, early), np.maximum(late, 0.0), np.inf)
    return _nan_if_none(late.min(axis=1, initial=np.inf))


def forewarning_times(failures: ArrayLike, alarms: ArrayLike, *, within: float) -> FloatArray:
    """Return, (k,), how long before each failure its first alarm opened; NaN if none did.

    Parameters
    ----------
    failures : (k,) rows or times at which something broke
    alarms : (m, 2), in the same unit
    within : how far ahead of a failure an alarm may open and still be about it
    """
    if not within > 0.0:
        raise ConfigError(f"within is {within!r}, wanted a time above 0")
    _refuse_mixed(failures, alarms)
    ahead = np.reshape(as_moments(failures, "failures"), (-1, 1)) - _opened(alarms)[None, :]
    ahead = np.where((ahead > 0.0) & (ahead <= within), ahead, -np.inf)
    return _nan_if_none(ahead.max(axis=1, initial=-np.inf))


def false_alarms_per_week(
    events: ArrayLike,
    alarms: ArrayLike,
    *,
    rows: int,
    period_s: float,
    tolerance: float = 0.0,
    early: float = 0.0,
) -> float:
    """Return false alarms an asset and week of normal operation; intervals are in rows.

    `rows` are the judged rows, of all assets together, of `period_s` seconds each. The anomalies,
    with the `tolerance` after and what is `early` before each, are not normal operation.
    """
    belongs = _belongs(events, alarms, tolerance, early)
    truth = as_intervals(events, "events") + np.array([-early, tolerance])
    normal = rows - _covered(np.clip(truth, 0.0, rows))
    if normal <= 0.0 or not period_s > 0.0:
        raise ConfigError(f"{normal:g} normal rows of {period_s:g} s, wanted more than 0 of each")
    return float((~belongs.any(axis=0)).sum() / (normal * period_s / WEEK_S))


def alarm_cost(
    events: ArrayLike,
    alarms: ArrayLike,
    *,
    missed: float,
    false_alarm: float,
    hour_late: float = 0.0,
    period_s: float = 1.0,
    tolerance: float = 0.0,
    early: float = 0.0,
) -> AlarmCost:
    """Return what the alarms cost, by the prices of a plant.

    Parameters
    ----------
    events, alarms, tolerance, early : see `event_counts`
    missed, false_alarm : price of an anomaly without an alarm, of an alarm without an anomaly
    hour_late : price of each hour from an anomaly's start to its alarm; an anomaly found late
        never costs more than one missed
    period_s : seconds of a row; 1 where the intervals are times
    """
    prices = {"missed": missed, "false_alarm": false_alarm, "hour_late": hour_late}
    for name, price in prices.items():
        if not 0.0 <= price < np.inf:
            raise ConfigError(f"{name} is {price!r}, wanted a price of 0 or more")
    count = event_counts(events, alarms, tolerance=tolerance, early=early)
    hours = detection_delays(events, alarms, tolerance=tolerance, early=early) * period_s / HOUR_S
    parts = (
        missed * count.missed,
        float(np.nansum(np.minimum(hours * hour_late, missed))),
        false_alarm * count.false_alarms,
    )
    return AlarmCost(sum(parts), *parts)


def share(part: float, whole: float) -> float:
    """Return a part of a whole, NaN where there is no whole."""
    return float(part / whole) if whole > 0 else float("nan")


def _opened(alarms: ArrayLike) -> FloatArray:
    return as_intervals(alarms, "alarms")[:, 0]


def _belongs(
    events: ArrayLike, alarms: ArrayLike, tolerance: float, early: float
) -> NDArray[np.bool_]:
    """Return (k, m) flags: alarm m opened in, just before or just after anomaly k."""
    for name, given in (("tolerance", tolerance), ("early", early)):
        if not given >= 0.0:
            raise ConfigError(f"{name} is {given!r}, wanted 0 or more")
    truth, opened = as_intervals(events, "events"), _opened(alarms)
    _refuse_mixed(events, alarms)
    return (opened >= truth[:, :1] - early) & (opened < truth[:, 1:] + tolerance)


def _refuse_mixed(events: ArrayLike, alarms: ArrayLike) -> None:
    """Raise DataError where anomalies are in times and alarms in rows, or the other way round."""
    known, called = np.asarray(events), np.asarray(alarms)
    if known.size and called.size and (known.dtype.kind == "M") != (called.dtype.kind == "M"):
        raise DataError("of events and alarms one is in rows, one in times; give both in one unit")


def _covered(intervals: FloatArray) -> float:
    """Return the length of the union of half-open intervals."""
    total, reached = 0.0, -np.inf
    for start, end in intervals[np.argsort(intervals[:, 0])]:
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return float(total)


def _nan_if_none(found: FloatArray) -> FloatArray:
    return np.where(np.isfinite(found), found, np.nan)
