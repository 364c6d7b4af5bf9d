"""The anomaly measures, each against the definition written out slowly."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sensorssm.errors import ConfigError, DataError, ShapeError
from sensorssm.evaluation.anomaly import (
    PROFILES,
    affiliation,
    average_precision,
    intervals_of,
    nab_score,
    row_rates,
    volume_under_surface,
)

SEEDS = range(6)


def _case(seed: int, rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a few anomalies, some at the edges, and scores with ties that hint at them."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(rows, dtype=int)
    for _ in range(4):
        start = rng.integers(0, rows)
        labels[start : start + rng.integers(1, 12)] = 1
    if seed % 2:
        labels[:2] = labels[-3:] = 1
    return labels, np.round(rng.normal(size=rows) + labels, 1)


def _slow_volumes(labels: np.ndarray, scores: np.ndarray, window: int) -> tuple[float, float]:
    """Average the two areas over buffers, looping over thresholds and rows."""
    rows, events = len(labels), intervals_of(labels > 0)
    ranks = np.linspace(0, rows - 1, 250).astype(int)
    cuts = np.sort(scores)[::-1][ranks]
    rocs, prs = [], []
    for w in range(window + 1):
        half = w // 2
        soft = labels.astype(float)
        for t in range(rows):
            if not labels[t]:
                near = [a - t for a, b in events if 0 < a - t <= half]
                near += [t - b + 1 for a, b in events if 0 < t - b + 1 <= half]
                soft[t] = min(sum(np.sqrt(1 - d / w) for d in near), 1.0)
        merged: list[list[int]] = []
        for a, b in events:
            if merged and merged[-1][1] - 1 + half >= a - half:
                merged[-1][1] = b
            else:
                merged.append([a, b])
        points = []
        for cut in cuts:
            alarm = scores >= cut
            hits = soft[alarm].sum()
            positives = (2 * labels.sum() + soft[alarm & (labels == 0)].sum()) / 2
            found = [alarm[max(a - half, 0) : b + half].any() for a, b in merged]
            points.append(
                (
                    (alarm.sum() - hits) / (rows - positives),
                    min(hits / positives, 1) * np.mean(found),
                    hits / alarm.sum(),
                )
            )
        x, y, precision = np.array(points).T
        prs.append(sum((y - np.r_[0, y[:-1]]) * precision))
        rocs.append(np.trapezoid(np.r_[0, y, 1], np.r_[0, x, 1]))
    return float(np.mean(rocs)), float(np.mean(prs))


@pytest.mark.parametrize("window", [0, 1, 2, 9, 30])
@pytest.mark.parametrize("seed", SEEDS)
def test_volumes_are_those_of_the_definition(seed: int, window: int) -> None:
    labels, scores = _case(seed)
    found = volume_under_surface(labels, scores, window=window)
    np.testing.assert_allclose(found, _slow_volumes(labels, scores, window), atol=1e-12)


def test_scores_that_are_the_labels_are_perfect_and_constant_ones_know_nothing() -> None:
    labels, _ = _case(0, rows=4000)
    assert volume_under_surface(labels, labels, window=0).pr == pytest.approx(1.0)
    flat = volume_under_surface(labels, np.zeros(4000), window=0)
    assert flat.pr == pytest.approx(labels.mean())
    assert flat.roc == pytest.approx(0.5)


def test_no_anomaly_gives_no_number_and_an_unknown_score_is_refused() -> None:
    assert np.isnan(volume_under_surface(np.zeros(9), np.arange(9.0), window=3)).all()
    with pytest.raises(DataError, match="2 scores"):
        volume_under_surface([0, 1, 0], [np.nan, 1.0, np.inf], window=0)
    with pytest.raises(ShapeError, match="wanted"):
        volume_under_surface([0, 1, 0], [1.0, 2.0], window=0)


def test_average_precision_is_precision_summed_over_the_anomalies_found() -> None:
    labels, scores = np.array([1, 0, 1, 0, 1]), np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    assert average_precision(labels, scores) == pytest.approx((1 / 1 + 2 / 3 + 3 / 5) / 3)


def _slow_affiliation(labels: np.ndarray, alarms: np.ndarray) -> tuple[float, float]:
    """Compare each moment of an alarm with 2,000 moments spread evenly over the zone."""
    events, called = intervals_of(labels > 0), intervals_of(alarms > 0)
    cuts = [0.0, *[(a[1] + b[0]) / 2 for a, b in itertools.pairwise(events)]]
    cuts.append(float(len(labels)))
    precisions, recalls = [], []
    for k, (a, b) in enumerate(events):
        low, high = cuts[k], cuts[k + 1]
        chance = low + (high - low) * (np.arange(2000) + 0.5) / 2000
        parts = [(max(p, low), min(q, high)) for p, q in called if p < high and q > low]
        if not parts:
            recalls.append(0.0)
            continue
        at = np.concatenate([np.arange(p, q, 0.01) + 0.005 for p, q in parts])
        away = np.maximum(np.maximum(a - at, at - b), 0)
        spread = np.maximum(np.maximum(a - chance, chance - b), 0)
        precisions.append(np.mean([np.mean(spread >= d) for d in away]))
        at = np.arange(a, b, 0.01) + 0.005
        near = np.min([np.maximum(np.maximum(p - at, at - q), 0) for p, q in parts], axis=0)
        recalls.append(
            np.mean([np.mean(np.abs(chance - y) >= d) for y, d in zip(at, near, strict=True)])
        )
    return float(np.mean(precisions)) if precisions else 0.0, float(np.mean(recalls))


@pytest.mark.parametrize("seed", SEEDS)
def test_affiliation_is_that_of_the_definition(seed: int) -> None:
    """The slow version's grids of 1/2000 zone and 1/100 row leave errors below 2e-3."""
    labels, scores = _case(seed)
    alarms = scores > 1.2
    found = affiliation(labels, alarms)
    np.testing.assert_allclose(found[:2], _slow_affiliation(labels, alarms), atol=2e-3)
    assert found.f1 == pytest.approx(
        2 * found.precision * found.recall / (found.precision + found.recall)
    )


def test_affiliation_of_the_labels_is_perfect_and_of_nothing_zero() -> None:
    labels, _ = _case(1)
    assert affiliation(labels, labels) == (1.0, 1.0, 1.0)
    assert affiliation(labels, np.zeros_like(labels)) == (0.0, 0.0, 0.0)
    assert np.isnan(affiliation(np.zeros(5), np.ones(5))).all()


def _slow_nab(files: list, profile: str) -> float:
    """Try every threshold: each window pays by its earliest alarm, other alarms cost."""
    cost = PROFILES[profile]

    def sigmoid(x: float) -> float:
        return 2 / (1 + np.exp(min(5 * x, 500))) - 1

    windows = sum(len(w) for _, w in files)
    best = 0.0
    for cut in np.unique(np.concatenate([s for s, _ in files])):
        total = 0.0
        for scores, wins in files:
            skip = min(int(0.15 * len(scores)), 750)
            alarms = [t for t in range(skip, len(scores)) if scores[t] >= cut]
            for first, last in wins:
                inside = [t for t in alarms if first <= t <= last]
                width = last - first + 1
                if inside:
                    total += cost.found * sigmoid(-(last - inside[0] + 1) / width) / sigmoid(-1)
                else:
                    total -= cost.missed
            for t in alarms:
                if any(first <= t <= last for first, last in wins):
                    continue
                past = [(first, last) for first, last in wins if last < t]
                worth = -1.0
                if past:
                    first, last = past[-1]
                    x = (t - last) / (last - first) if last > first else np.inf
                    worth = -1.0 if x > 3 else sigmoid(x)
                total += cost.false * worth
        best = max(best, total + cost.missed * windows)
    return 100 * best / (windows * (cost.found + cost.missed))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_nab_score_is_the_best_over_all_thresholds(seed: int, profile: str) -> None:
    rng = np.random.default_rng(seed)
    files = []
    for windows in ([(60, 79), (140, 150)], [(40, 70)], []):
        scores = np.round(rng.normal(size=200), 1)
        for first, last in windows:
            scores[first + 5 : last] += 1.0
        files.append((scores, windows))
    assert nab_score(files, profile) == pytest.approx(_slow_nab(files, profile), abs=1e-9)


def test_an_alarm_at_each_windows_start_is_100_and_an_unknown_profile_is_refused() -> None:
    scores = np.zeros(1000)
    scores[700] = 1.0
    assert nab_score([(scores, [(700, 799)])]) == pytest.approx(100.0)
    with pytest.raises(ConfigError, match="low_fp"):
        nab_score([(scores, [(700, 799)])], "low_fp")


def test_row_rates_are_counts_over_counts() -> None:
    rates = row_rates([1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0])
    assert rates == pytest.approx((2 * 2 / (2 * 2 + 1 + 1), 1 / 5, 1 / 3))


def test_rates_over_no_rows_are_not_numbers() -> None:
    np.testing.assert_array_equal(row_rates([0, 0], [0, 1]), [0.0, 0.5, np.nan])
    np.testing.assert_array_equal(row_rates([1, 1], [0, 0]), [0.0, np.nan, 1.0])
    assert np.isnan(row_rates([0, 0], [0, 0]).f1)


def test_measures_without_an_anomaly_are_not_numbers_and_with_nothing_else_still_stand() -> None:
    """All rows normal: nothing to find. All anomalous: any order of the rows is right."""
    assert np.isnan(average_precision([0, 0, 0], [3.0, 1.0, 2.0]))
    assert average_precision([1, 1], [0.0, 1.0]) == 1.0
    whole = volume_under_surface(np.ones(9), np.arange(9.0), window=4)
    assert np.isnan(whole.roc)
    assert whole.pr == pytest.approx(1.0)
    assert affiliation(np.ones(5), np.ones(5)) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("window", [0, 7])
def test_a_single_row_and_ties_are_no_special_case(rows: int, window: int) -> None:
    """With every score equal, precision is the labelled share whatever the buffer."""
    labels = np.r_[np.ones(1), np.zeros(rows - 1)]
    found = volume_under_surface(labels, np.zeros(rows), window=window)
    slow = _slow_volumes(labels, np.zeros(rows), window) if rows > 1 else (np.nan, 1.0)
    np.testing.assert_allclose(found, slow, atol=1e-12)


def test_many_short_alarms_in_a_long_anomaly_take_little_memory() -> None:
    """20,000 alarms in 40,000 anomalous rows: each row is at most half a row from an alarm."""
    labels = np.zeros(80_000, dtype=int)
    labels[20_000:60_000] = 1
    found = affiliation(labels, labels * (np.arange(80_000) % 2))
    assert found.precision == 1.0
    assert found.recall > 0.999


MEASURES = {
    "average_precision": average_precision,
    "volumes": lambda truth, other: volume_under_surface(truth, other, window=2),
    "affiliation": affiliation,
    "row_rates": row_rates,
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("labels", [[0, -1, 1], [0, 2, 1], [0.0, np.nan, 1.0], [0, 0.5, 1]])
def test_labels_other_than_0_and_1_are_refused(name: str, labels: list[float]) -> None:
    """A predict of -1 and +1 read as flags would turn every measure round."""
    with pytest.raises(DataError, match=r"labels holds .* in row 1"):
        MEASURES[name](labels, [0, 1, 1])


@pytest.mark.parametrize("name", MEASURES)
def test_sizes_that_differ_are_refused(name: str) -> None:
    with pytest.raises(ShapeError):
        MEASURES[name]([0, 1, 1], [0, 1])
    with pytest.raises(ShapeError):
        MEASURES[name]([[0, 1]], [[0, 1]])


@pytest.mark.parametrize("name", ["affiliation", "row_rates"])
def test_alarms_of_another_sign_are_refused(name: str) -> None:
    with pytest.raises(DataError, match="predict"):
        MEASURES[name]([0, 0, 1], [1, 1, -1])


@pytest.mark.parametrize("setting", [{"window": -1}, {"window": 3, "thresholds": 1}])
def test_settings_that_make_no_surface_are_refused(setting: dict) -> None:
    with pytest.raises(ConfigError):
        volume_under_surface([0, 1], [0.0, 1.0], **setting)


@pytest.mark.parametrize(
    "windows", [[(5, 3)], [(0, 10)], [(-1, 2)], [(0, 4), (4, 6)], [(0, 8), (2, 3)]]
)
def test_windows_that_overlap_or_leave_the_file_are_refused(windows: list) -> None:
    with pytest.raises(ShapeError, match="file 1"):
        nab_score([(np.zeros(10), [(8, 9)]), (np.zeros(10), windows)])


def test_a_corpus_without_windows_or_with_unknown_scores_is_refused() -> None:
    for files in ([], [(np.zeros(10), [])]):
        with pytest.raises(DataError, match="no file has a window"):
            nab_score(files)
    with pytest.raises(DataError, match="1 scores"):
        nab_score([(np.array([0.0, np.nan]), [(1, 1)])])


def test_the_order_of_windows_does_not_matter() -> None:
    scores = np.random.default_rng(0).normal(size=200)
    windows = [(60, 79), (140, 150), (100, 100)]
    assert nab_score([(scores, windows)]) == nab_score([(scores, sorted(windows))])
