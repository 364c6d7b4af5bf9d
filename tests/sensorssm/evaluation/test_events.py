"""The measures of alarms against anomalies, each against a plant that is walked row by row."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.errors import ConfigError, DataError, ShapeError
from sensorssm.evaluation.anomaly import (
    alarm_cost,
    detection_delays,
    event_counts,
    false_alarms_per_week,
    forewarning_times,
)

ROWS = 400
Intervals = list[tuple[int, int]]


def _case(seed: int) -> tuple[Intervals, Intervals]:
    """Anomalies and alarms in no order, some of them overlapping, nested or twice there."""
    rng = np.random.default_rng(seed)

    def some(count: int) -> Intervals:
        starts = rng.integers(0, ROWS - 30, size=count)
        return [(int(s), int(s + rng.integers(1, 30))) for s in starts]

    events, alarms = some(6), some(12)
    return [*events, events[0]], [*alarms, alarms[-1], (events[1][0], events[1][1])]


def _walk(events: Intervals, alarms: Intervals, tolerance: int, early: int) -> tuple:
    """Return each anomaly's delay or None, and the false alarms, by walking through the rows."""
    delays, true = [], set()
    for start, end in events:
        delay = None
        for row in range(start - early, end + tolerance):
            for number, (opened, _) in enumerate(alarms):
                if opened == row:
                    true.add(number)
                    delay = max(row - start, 0) if delay is None else delay
        delays.append(delay)
    return delays, len(alarms) - len(true)


@pytest.mark.parametrize(("tolerance", "early"), [(0, 0), (7, 0), (0, 4), (25, 25)])
@pytest.mark.parametrize("seed", range(8))
def test_counts_delays_and_rates_are_those_of_a_walk(seed: int, tolerance: int, early: int) -> None:
    events, alarms = _case(seed)
    delays, false = _walk(events, alarms, tolerance, early)
    reach = {"tolerance": tolerance, "early": early}

    counts = event_counts(events, alarms, **reach)
    found = sum(delay is not None for delay in delays)
    precision, recall = 1 - false / len(alarms), found / len(events)
    assert counts[:2] == pytest.approx((precision, recall))
    assert counts.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert counts[3:] == (found, len(events) - found, false)

    np.testing.assert_array_equal(
        detection_delays(events, alarms, **reach),
        [np.nan if delay is None else delay for delay in delays],
    )
    near = {row for a, b in events for row in range(a - early, b + tolerance)}
    weeks = len(set(range(ROWS)) - near) * 3600 / (7 * 24 * 3600)
    rate = false_alarms_per_week(events, alarms, rows=ROWS, period_s=3600.0, **reach)
    assert rate == pytest.approx(false / weeks)

    cost = alarm_cost(
        events, alarms, missed=50.0, false_alarm=3.0, hour_late=2.5, period_s=3600.0, **reach
    )
    late = sum(min(2.5 * delay, 50.0) for delay in delays if delay is not None)
    assert cost == pytest.approx(
        (50.0 * (len(events) - found) + late + 3.0 * false, 50.0 * (len(events) - found), late,
         3.0 * false)
    )  # fmt: skip


def test_an_alarm_that_never_ends_finds_only_what_it_opened_in() -> None:
    """Counted by overlap, it would find all three at once and never be false."""
    events = [(10, 20), (50, 60), (90, 95)]
    counts = event_counts(events, [(0, 100)])
    assert (counts.found, counts.false_alarms, counts.f1) == (0, 1, 0.0)
    assert event_counts(events, [(12, 100)]).found == 1


def test_rates_over_nothing_are_not_numbers() -> None:
    np.testing.assert_array_equal(event_counts([], [(1, 2)])[:3], [0.0, np.nan, 0.0])
    np.testing.assert_array_equal(event_counts([(1, 2)], [])[:3], [np.nan, 0.0, 0.0])
    assert np.isnan(event_counts([], [])[:3]).all()
    assert detection_delays([], [(1, 2)]).shape == (0,)


def test_forewarning_is_the_time_from_the_first_alarm_near_enough() -> None:
    alarms = [(80, 81), (60, 300), (5, 70), (99, 101), (100, 101)]
    failures = [100, 200, 5]
    found = forewarning_times(failures, alarms, within=50)
    np.testing.assert_array_equal(found, [40.0, np.nan, np.nan])
    slow = [max((f - a for a, _ in alarms if 0 < f - a <= 95), default=np.nan) for f in failures]
    np.testing.assert_array_equal(forewarning_times(failures, alarms, within=95), slow)
    assert np.isnan(forewarning_times(failures, [], within=1)).all()
    with pytest.raises(ConfigError, match="within"):
        forewarning_times(failures, alarms, within=0)


def test_times_count_in_seconds() -> None:
    """The same intervals as rows of five minutes and as times; also what a detector returns."""
    events, alarms = _case(0)
    begin, step = np.datetime64("2026-01-05T00:00"), np.timedelta64(5, "m")
    times = begin + np.array(events) * step
    calls = (begin + np.array(alarms) * step).astype("datetime64[ns]")
    np.testing.assert_allclose(
        detection_delays(times, calls), 300.0 * detection_delays(events, alarms)
    )
    assert event_counts(times, calls) == event_counts(events, alarms)
    prices = {"missed": 9.0, "false_alarm": 1.0, "hour_late": 4.0}
    np.testing.assert_allclose(
        alarm_cost(times, calls, **prices),
        alarm_cost(events, alarms, **prices, period_s=300.0),
    )
    np.testing.assert_allclose(
        forewarning_times(times[:, 1], calls, within=3600),
        300.0 * forewarning_times(np.array(events)[:, 1], alarms, within=12),
    )


def test_an_hour_late_never_costs_more_than_missing_it() -> None:
    cost = alarm_cost(
        [(0, 100)], [(90, 91)], missed=10.0, false_alarm=1.0, hour_late=1.0, period_s=3600.0
    )
    assert cost == (10.0, 0.0, 10.0, 0.0)


GOOD: Intervals = [(10, 20), (50, 60)]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ([(5, 5)], DataError),
        ([(6, 5)], DataError),
        ([(5.0, np.nan)], DataError),
        ([(0.0, np.inf)], DataError),
        ([(np.datetime64("2026-01-05"), np.datetime64("NaT"))], DataError),
        ([("a", "b")], DataError),
        ([(True, False)], DataError),
        ([1, 2, 3, 4], ShapeError),
        (np.arange(6).reshape(2, 3), ShapeError),
    ],
)
def test_intervals_that_are_none_are_refused(bad: object, error: type[Exception]) -> None:
    for given in ((GOOD, bad), (bad, GOOD)):
        with pytest.raises(error, match="alarms" if given[1] is bad else "events"):
            event_counts(*given)  # pyright: ignore[reportArgumentType]


def test_rows_and_times_do_not_mix() -> None:
    times = np.datetime64("2026-01-05") + np.array(GOOD)
    with pytest.raises(DataError, match="one in times"):
        event_counts(GOOD, times)
    with pytest.raises(DataError, match="one in times"):
        forewarning_times(times[:, 1], GOOD, within=5)


@pytest.mark.parametrize("setting", [{"tolerance": -1}, {"early": np.nan}])
def test_reaches_below_0_are_refused(setting: dict) -> None:
    for measure in (event_counts, detection_delays):
        with pytest.raises(ConfigError, match="0 or more"):
            measure(GOOD, GOOD, **setting)


@pytest.mark.parametrize("price", ["missed", "false_alarm", "hour_late"])
def test_prices_below_0_are_refused(price: str) -> None:
    prices = {"missed": 1.0, "false_alarm": 1.0, "hour_late": 1.0} | {price: -1.0}
    with pytest.raises(ConfigError, match=price):
        alarm_cost(GOOD, GOOD, **prices)


def test_a_rate_needs_normal_rows() -> None:
    with pytest.raises(ConfigError, match="normal rows"):
        false_alarms_per_week(GOOD, GOOD, rows=20, period_s=60.0, early=10)
    with pytest.raises(ConfigError, match="normal rows"):
        false_alarms_per_week(GOOD, GOOD, rows=100, period_s=0.0)
