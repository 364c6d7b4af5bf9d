"""A lone tag's score against its definition over whole lists, and what it is for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorssm import SSMDetector, Stepper
from sensorssm.scoring.precedents import (
    ABSENT,
    CLAIM,
    FIRST,
    HELD,
    REACH,
    compare,
    first_precedents,
    hold,
    rarity,
    watch_level,
    weights_of,
)


def _slow_rarity(before: list[float], value: float) -> float:
    """Count in the whole history."""
    seen = np.sort(before)
    above = (seen >= value).sum()
    claim = 0.0
    if above >= HELD:
        return np.log10((len(seen) + 1) / (HELD + 1)) * max(value, 0.0) / seen[-HELD]
    if above == 0 and len(seen) >= 2 * REACH:
        excess = seen[-REACH:] - seen[-REACH]
        k = REACH - 1
        p = (1.0 + (value - seen[-REACH]) / excess.sum()) ** -k * REACH  # of rows + 1
        claim = np.clip(-np.log10(p), 0.0, CLAIM)
    return float(np.log10((len(seen) + 1) / (above + 1)) + claim)


def _slow_scores(evidence: np.ndarray, weights: np.ndarray) -> list[float]:
    each = [
        [_slow_rarity(column[:t].tolist(), column[t]) for t in range(len(column))]
        for column in evidence.T
    ]
    return np.log10(weights @ 10.0 ** np.array(each)).tolist()


def _fast_scores(evidence: np.ndarray, weights: np.ndarray) -> list[float]:
    past = np.zeros(FIRST + evidence.shape[1] * HELD)
    past[FIRST:] = ABSENT
    return [compare(weights, past, row) for row in evidence]


def test_scores_are_those_of_counting_the_whole_past() -> None:
    """With ties, a fault that stands, and more rows than are held."""
    rng = np.random.default_rng(0)
    evidence = np.round(rng.exponential(0.43, size=(900, 4)), 2) + 0.01
    evidence[500:580] += 5.0
    weights = weights_of(2)
    fast, slow = _fast_scores(evidence, weights), _slow_scores(evidence, weights)
    np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("share", [0.01, 0.001])
def test_exchangeable_rows_score_as_often_as_the_score_says(share: float) -> None:
    """The statistics of a row depend on each other; rare rows are as rare as their mean says."""
    rng = np.random.default_rng(1)
    common = rng.exponential(0.43, size=(40_000, 1))
    evidence = common * [1.0, 0.7, 0.7, 0.2] + 0.3 * rng.exponential(0.43, size=(40_000, 4))
    scores = np.array(_fast_scores(evidence, weights_of(2)))
    assert 0.6 * share < (scores > -np.log10(share)).mean() < 1.4 * share


@pytest.mark.parametrize("averages", [1, 2, 3, 4])
def test_a_row_that_says_nothing_scores_nothing(averages: int) -> None:
    """Never less than 0, for then its p-value would be more than 1."""
    weights = weights_of(averages)
    scores = _fast_scores(np.zeros((50, len(weights))), weights)

    assert 0.0 <= min(scores) <= max(scores) < 1e-12


def test_the_largest_are_held_in_order() -> None:
    rng = np.random.default_rng(2)
    values = np.round(rng.exponential(size=500), 1)
    held = np.full(HELD, ABSENT)
    for value in values:
        hold(held, value)
    np.testing.assert_array_equal(held, np.sort(values)[-HELD:])
    np.testing.assert_array_equal(first_precedents(values[:, None])[0], held)


@pytest.mark.parametrize("rows", [1, HELD - 1])
def test_fewer_precedents_than_are_held_are_all_there(rows: int) -> None:
    evidence = np.arange(2.0 * rows).reshape(rows, 2)
    evidence[0, 1] = np.nan
    held = first_precedents(evidence)
    np.testing.assert_array_equal(held[0, -rows:], evidence[:, 0])
    assert (held[0, : HELD - rows] == ABSENT).all()
    assert (held[1] >= 0.0).sum() == rows - 1


def test_nothing_is_called_much_rarer_than_all_that_was_seen() -> None:
    held = first_precedents(np.linspace(0.0, 3.0, 1000)[:, None])[0]
    assert rarity(held, 1000.0, 1e6) == pytest.approx(np.log10(1001) + CLAIM)
    assert rarity(held, 1000.0, 3.0) == pytest.approx(np.log10(1001 / 2))


def test_what_is_beyond_all_that_was_seen_is_as_rare_as_it_is_called() -> None:
    """Of the claim alone: the next of 50 exponential values, ten times as rare as their rank is."""
    rng = np.random.default_rng(5)
    claimed = [
        rarity(first_precedents(seen[:-1, None])[0], 50.0, seen[-1])
        for seen in rng.exponential(size=(40_000, 51))
    ]
    # 78 expected, so a deviation of 9; taken as if the rate were known it would be 1.6 times these.
    assert np.sum(np.array(claimed) > np.log10(510.0)) == pytest.approx(78, abs=27)


def test_the_level_is_a_slow_average() -> None:
    past = np.zeros(FIRST)
    far = [watch_level(past, 2.0, 0.01) for _ in range(400)]
    np.testing.assert_allclose(np.exp(far), 2.0 * 0.99 ** np.arange(400), rtol=1e-9)


def _spiky(rows: int = 6000) -> np.ndarray:
    """A tag whose spikes come once in 100 rows, but not in the first 1,000."""
    rng = np.random.default_rng(3)
    stream = rng.normal(size=(rows, 1))
    stream[1000::100] += 12.0
    return stream


def test_what_came_often_is_no_news() -> None:
    stream = _spiky()
    scores = SSMDetector().fit(stream[:800]).anomaly_score(stream)
    assert scores[1000] > 3.0
    assert (scores[3000::100] > 3.0).mean() < 0.25  # a tenth, were they alike to the last bit


def test_what_is_larger_than_what_came_often_is_news() -> None:
    stream = _spiky()
    stream[5250] += 40.0
    scores = SSMDetector().fit(stream[:800]).anomaly_score(stream)
    assert scores[5250] > 4.0


def test_a_new_level_is_news_until_it_has_stood() -> None:
    rng = np.random.default_rng(4)
    stream = rng.normal(size=(3000, 1))
    stream[2000:] += 6.0
    above = SSMDetector().fit(stream[:1500]).anomaly_score(stream) > 3.0
    assert above[2000]
    assert above[2100:].mean() < 1e-2


def test_a_lone_tag_is_stepped_as_it_is_scored() -> None:
    stream = _spiky(1500)
    stream[1200] = np.nan
    detector = SSMDetector().fit(stream[:800])
    stepper = Stepper(detector)
    online = [stepper.step(row).score for row in stream]
    np.testing.assert_array_equal(online, detector.anomaly_score(stream))


@pytest.mark.parametrize(("budget", "seen"), [(0.1, False), (1.0, True)])
def test_a_budget_is_silent_until_the_rows_seen_carry_it(budget: float, seen: bool) -> None:
    """0.1 a week are one of 100,800 minutes: that is not claimed before 1,007 rows, nor much later."""
    quiet = np.random.default_rng(6).normal(size=(2600, 1))
    detector = SSMDetector(alarm_budget=budget, period="1min").fit(quiet[:800])
    for row, loud in ((50, seen), (1790, True)):
        stream = quiet[800:].copy()
        stream[row] += 30.0
        assert (detector.anomaly_score(stream)[row] > detector.threshold_) == loud


@pytest.mark.parametrize("learnt", [_spiky(30), _spiky(800), np.full((800, 1), 3.0)])
def test_a_lone_tags_model_is_saved_with_its_past(tmp_path: Path, learnt: np.ndarray) -> None:
    detector = SSMDetector().fit(learnt)
    detector.save(tmp_path)
    stream = _spiky(1200)
    loaded = SSMDetector.load(tmp_path)
    np.testing.assert_array_equal(loaded.anomaly_score(stream), detector.anomaly_score(stream))
