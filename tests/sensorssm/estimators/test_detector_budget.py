"""The false-alarm budget holds on streams that nothing is wrong with, and faults do not hide it."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators.detector import SSMDetector
from sensorssm.scoring import find_events

ROWS, TRAIN, SEEDS = 8000, 4000, 20
WEEKS = (ROWS - TRAIN) * 300 / (7 * 86_400)


def _stream(kind: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t, noise = np.arange(ROWS), rng.normal(size=ROWS)
    made = {
        "white noise": noise,
        "random walk": noise.cumsum(),
        "season": np.sin(2 * np.pi * t / 288) + 0.1 * noise,
        "step": 2.0 * (t // 700 % 2) + 0.2 * noise,
        "ramp": 10.0 * t / ROWS + 0.3 * noise,
    }
    return made[kind][:, None]


@pytest.mark.parametrize("kind", ["white noise", "random walk", "season", "step", "ramp"])
def test_the_budget_holds_within_two_on_lawful_streams(kind: str) -> None:
    """20 seeds a kind, half of each unseen: 1 % and 0.1 % of rows, and 7 alarms a week."""
    ones, rares, alarms = [], [], []
    for seed in range(SEEDS):
        stream = _stream(kind, seed)
        detector = SSMDetector(alarm_budget=7.0, period="5min").fit(stream[:TRAIN])
        scores = detector.anomaly_score(stream)[TRAIN:]
        ones.append(np.mean(scores > 2.0))
        rares.append(np.mean(scores > 3.0))
        above = scores > detector.threshold_
        alarms.append(len(find_events(above, np.array([0]), off_delay=detector.off_delay)))
    assert 0.5e-2 < np.mean(ones) < 2e-2
    assert 0.25e-3 < np.mean(rares) < 2e-3
    assert 0.4 * 7.0 < np.mean(alarms) / WEEKS < 2 * 7.0  # many rows above a step are one alarm


def _minutes(kind: str, seed: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=rows)
    made = {
        "white noise": noise,
        "random walk": noise.cumsum(),
        "counts": rng.poisson(3.0, size=rows),
        "heavy tails": rng.standard_t(2.5, size=rows),
    }
    return made[kind][:, None]


@pytest.mark.parametrize("kind", ["white noise", "random walk", "counts", "heavy tails"])
def test_a_few_hours_of_one_tag_are_enough_to_keep_a_budget(kind: str) -> None:
    """15 seeds a kind, fitted on five hours: the alarms of the two weeks after, one a week asked."""
    alarms = 0
    for seed in range(15):
        stream = _minutes(kind, seed, 300 + 2 * 10_080)
        detector = SSMDetector(alarm_budget=1.0, period="1min").fit(stream[:300])
        above = detector.anomaly_score(stream)[300:] > detector.threshold_
        alarms += len(find_events(above, np.array([0]), off_delay=detector.off_delay))
    assert 15 < alarms < 60  # 30 expected, with a deviation of 5.5


def test_a_constant_never_alarms() -> None:
    stream = np.full((ROWS, 1), 3.0)
    assert (SSMDetector().fit(stream[:TRAIN]).predict(stream) == 1).all()


def test_faults_in_a_tenth_of_the_training_rows_cost_little() -> None:
    """Ten unlabelled faults in training: the same fault later is still found, each time."""
    rng = np.random.default_rng(0)
    readings = rng.normal(size=(6000, 2)).cumsum(axis=0) * 0.05 @ rng.normal(size=(2, 6))
    readings += rng.normal(size=readings.shape) * 0.3
    for start in range(200, 4000, 400):
        readings[start : start + 40, 1] += 6.0
    for start in range(4500, 6000, 500):
        readings[start : start + 40, 4] += 6.0
    scores = SSMDetector().fit(readings[:4000]).anomaly_score(readings)
    assert all((scores[start : start + 5] > 3.0).any() for start in range(4500, 6000, 500))
