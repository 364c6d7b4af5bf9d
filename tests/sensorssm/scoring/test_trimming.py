"""Faults among the training rows are left out; what comes back often, and normal rows, stay."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm import simulate_plant
from sensorssm.datasets.faults import default_faults
from sensorssm.estimators.detector import SSMDetector
from sensorssm.evaluation.anomaly import average_precision, event_counts, intervals_of
from sensorssm.scoring import Options, Rows, trimming
from sensorssm.scoring.trimming import unlike_the_rest

ONE = np.array([0])


def _scores(rows: int = 6000, seed: int = 0) -> np.ndarray:
    """Calm scores with a short unusual stretch in every hundredth of rows."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.0, 0.9, size=rows)
    for start in range(50, rows - 50, 100):
        scores[start : start + 1 + int(rng.exponential(6.0))] = 1.5
    return scores


def test_a_stretch_that_dwarfs_the_others_is_found_whole() -> None:
    scores = _scores()
    scores[2000:2400] = 1.8
    found = np.flatnonzero(unlike_the_rest(scores, ONE))
    assert (found[0], len(found)) == (2000, 400)


def test_where_one_fault_was_found_a_fainter_one_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A clean record keeps a stretch that goes from one in which a fault stood out."""
    rows = Rows(np.zeros((6000, 1)), np.ones(6000), ONE, np.ones(6000, dtype=bool))
    scores = _scores()
    scores[2010:2070] = 1.8
    monkeypatch.setattr(trimming, "fit_cell", lambda rows, options: (None, scores))
    assert not trimming.fit_trimmed(rows, Options())[2].any()

    scores[4000:4400] = 1.8
    faulty = trimming.fit_trimmed(rows, Options())[2]
    assert faulty[2010:2070].all()
    assert faulty[4000:4400].all()
    assert faulty.sum() < 500  # and of the lawful rows only neighbours


@pytest.mark.parametrize("seed", range(20))
def test_normal_stretches_are_left_alone(seed: int) -> None:
    assert not unlike_the_rest(_scores(seed=seed), ONE).any()


def test_what_comes_back_often_is_lawful() -> None:
    scores = _scores()
    for start in range(70, 6000, 200):
        scores[start : start + 120] = 1.8
    assert not unlike_the_rest(scores, ONE).any()


def test_a_few_stretches_are_too_few_to_compare() -> None:
    scores = _scores(1500)
    scores[600:1000] = 3.0
    assert not unlike_the_rest(scores, ONE).any()


def test_a_stretch_ends_with_its_asset_and_unknown_scores_are_no_stretch() -> None:
    scores = _scores()
    scores[2900:3300] = 5.0
    scores[3100:3150] = np.nan
    found = np.flatnonzero(unlike_the_rest(scores, np.array([0, 3050])))
    np.testing.assert_array_equal(found, [*range(2900, 3100), *range(3150, 3300)])


@pytest.fixture(scope="module")
def fits() -> list[tuple]:
    """Return plants with both detectors: fitted on clean rows, and with a tenth of them faulty."""
    fits = []
    for seed in (0, 2):
        clean = simulate_plant(seed=seed)
        rows = int(0.6 * len(clean.time))
        rng = np.random.default_rng(1000 + seed)
        early = default_faults(clean.assets, clean.time[:rows], rng)
        dirty = simulate_plant(seed=seed, faults=[*early, *clean.faults])
        assert 0.1 < np.mean([dirty.labels(asset)[:rows] for asset in dirty.assets]) < 0.12
        both = []
        for plant in (clean, dirty):
            readings = np.vstack([values[:rows] for values in plant.values.values()])
            both.append(
                SSMDetector(alarm_budget=1.0).fit(
                    readings,
                    times=np.tile(plant.time[:rows], 2),
                    groups=np.repeat(plant.assets, rows),
                )
            )
        labels = np.concatenate([dirty.labels(asset)[:rows] for asset in dirty.assets])
        fits.append((clean, rows, labels, *both))
    return fits


def _judged(plant, rows: int, detector: SSMDetector) -> tuple[int, int, int, int, float]:
    """Return faults found and missed, true and false alarms, and AUC-PR, on unseen rows."""
    counts, truths, scores = np.zeros(4, dtype=int), [], []
    for asset, values in plant.values.items():
        truth = plant.labels(asset)[rows:]
        events = detector.events(values, times=plant.time)
        started = np.searchsorted(plant.time, events["started"])
        ended = np.searchsorted(plant.time, events["ended"])
        alarms = np.column_stack([started, ended])[started >= rows] - rows
        found = event_counts(intervals_of(truth), alarms, tolerance=24)  # two hours to recover
        true = len(alarms) - found.false_alarms
        counts += [found.found, found.missed, true, found.false_alarms]
        truths.append(truth)
        scores.append(detector.anomaly_score(values, times=plant.time)[rows:])
    area = average_precision(np.concatenate(truths), np.concatenate(scores))
    return *counts, area


@pytest.mark.slow
def test_a_tenth_of_faulty_training_rows_costs_at_most_three_points(fits: list[tuple]) -> None:
    """Event F1 over 16 faults and AUC-PR of the rows, against fits on the same rows without."""
    f1, area = [], []
    for which in (3, 4):
        judged = [_judged(fit[0], fit[1], fit[which]) for fit in fits]
        found, missed, true, false, areas = np.array(judged).T
        precision = true.sum() / (true.sum() + false.sum())
        recall = found.sum() / (found.sum() + missed.sum())
        f1.append(2 * precision * recall / (precision + recall))
        area.append(areas.mean())
    assert f1[1] > f1[0] - 0.03
    assert area[1] > area[0] - 0.03
    assert f1[0] > 0.8  # there is something to lose


@pytest.mark.slow
def test_what_is_left_out_is_faulty_and_nothing_of_clean_rows_is(fits: list[tuple]) -> None:
    for _, _, labels, clean, dirty in fits:
        assert not clean.left_out_.any()
        assert labels[dirty.left_out_].mean() > 0.75
        assert dirty.left_out_[labels].mean() > 0.6


def test_rows_that_the_caller_excludes_leave_no_trace() -> None:
    """They are taken as never read: what they held does not matter."""
    rng = np.random.default_rng(0)
    readings = rng.normal(size=(3000, 3)).cumsum(axis=0) * 0.05 + 0.1 * rng.normal(size=(3000, 3))
    wild = readings.copy()
    wild[1000:1100] += 50.0
    exclude = np.zeros(3000, dtype=bool)
    exclude[1000:1100] = True
    clean = SSMDetector().fit(readings, exclude=exclude).anomaly_score(readings)
    np.testing.assert_array_equal(
        SSMDetector().fit(wild, exclude=exclude).anomaly_score(readings), clean
    )


@pytest.mark.parametrize(("share", "left_out"), [(0.1, 300), (0.3, 0)])
def test_more_than_a_fifth_of_the_rows_is_no_exception(
    monkeypatch: pytest.MonkeyPatch, share: float, left_out: int
) -> None:
    """Then everything is learnt from, as if nothing had been found."""
    readings = np.random.default_rng(0).normal(size=(3000, 2))
    plain = SSMDetector().fit(readings).anomaly_score(readings)
    monkeypatch.setattr(trimming, "unlike_the_rest", lambda *_: np.arange(3000) < share * 3000)
    detector = SSMDetector().fit(readings)

    assert detector.left_out_.sum() == left_out
    assert np.array_equal(detector.anomaly_score(readings), plain) == (left_out == 0)


def test_a_later_pass_that_would_leave_out_too_much_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the passes before it found stays left out."""
    readings = np.random.default_rng(0).normal(size=(3000, 2))
    passes = iter([slice(0, 300), slice(600, 2400)])

    def odd(scores: np.ndarray, *_: object) -> np.ndarray:
        found = np.zeros(len(scores), dtype=bool)
        found[next(passes)] = True
        return found

    monkeypatch.setattr(trimming, "unlike_the_rest", odd)
    np.testing.assert_array_equal(
        np.flatnonzero(SSMDetector().fit(readings).left_out_), np.arange(300)
    )
