"""SSMDetector: finds what is wrong, names the tag, keeps its budget, and never looks ahead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sensorssm.errors import ConfigError, DataError, ModelFileError, ShapeError
from sensorssm.estimators.detector import SSMDetector

ROWS, TAGS = 2000, 6


def _plant(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    """Six tags that follow two slow causes, with noise; no fault."""
    rng = np.random.default_rng(seed)
    causes = np.zeros((rows, 2))
    for t in range(1, rows):
        causes[t] = 0.98 * causes[t - 1] + rng.normal(scale=0.2, size=2)
    mix = np.array([[1.0, 0.0], [0.8, 0.2], [0.0, 1.0], [0.3, 0.7], [1.0, -1.0], [0.5, 0.5]]).T
    return 50.0 + causes @ mix * 3.0 + rng.normal(scale=0.3, size=(rows, TAGS))


@pytest.fixture(scope="module")
def fitted() -> SSMDetector:
    return SSMDetector().fit(_plant())


@pytest.fixture()
def unseen() -> np.ndarray:
    return _plant(600, seed=1)


def test_normal_operation_keeps_the_budget() -> None:
    """Unseen normal rows exceed 1 % and 0.1 % at most 2 times too often, over 10 plants."""
    scores = np.concatenate(
        [
            SSMDetector().fit(_plant(seed=s)).anomaly_score(_plant(3000, seed=100 + s))
            for s in range(10)
        ]
    )
    assert np.mean(scores > 2.0) < 2e-2
    assert np.mean(scores > 3.0) < 2e-3


@pytest.mark.parametrize("tag", range(TAGS))
def test_a_spike_is_found_and_named(fitted: SSMDetector, unseen: np.ndarray, tag: int) -> None:
    unseen[300, tag] += 5.0
    assert fitted.predict(unseen)[300] == -1
    assert fitted.explain(unseen)[300].argmax() == tag


@pytest.mark.parametrize("tag", range(TAGS))
def test_a_drift_that_a_forecast_would_follow_is_found_and_named(
    fitted: SSMDetector, unseen: np.ndarray, tag: int
) -> None:
    unseen[200:, tag] += np.linspace(0.0, 4.0, 400)
    events = fitted.events(unseen)
    inside = events["ended"] > 200
    assert inside.any()
    assert f"x{tag}" in set(events["first_tag"][inside])


@pytest.mark.parametrize("tag", range(TAGS))
def test_a_stuck_tag_is_found(fitted: SSMDetector, unseen: np.ndarray, tag: int) -> None:
    unseen[200:, tag] = unseen[200, tag]
    assert (fitted.predict(unseen)[200:] == -1).any()


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65])
def test_later_rows_change_no_earlier_score(
    fitted: SSMDetector, unseen: np.ndarray, rows: int
) -> None:
    np.testing.assert_array_equal(
        fitted.anomaly_score(unseen[:rows]), fitted.anomaly_score(unseen)[:rows]
    )
    np.testing.assert_array_equal(fitted.explain(unseen[:rows]), fitted.explain(unseen)[:rows])


def test_missing_readings_are_left_out_and_an_empty_row_is_unknown(
    fitted: SSMDetector, unseen: np.ndarray
) -> None:
    holed = unseen.copy()
    holed[np.random.default_rng(0).random(holed.shape) < 0.2] = np.nan
    holed[100] = np.nan
    scores = fitted.anomaly_score(holed)
    assert np.isnan(scores[100])
    assert np.isfinite(np.delete(scores, 100)).all()
    assert np.mean(scores[101:] > 2.0) < 0.05


def test_a_tag_that_never_moved_is_reported_when_it_does() -> None:
    readings = np.column_stack([_plant(), np.full(ROWS, 7.0)])
    detector = SSMDetector().fit(readings)
    assert detector.fixed_tags_ == ("x6",)
    later = readings[:100].copy()
    later[50, 6] = 8.0
    assert detector.predict(later)[50] == -1
    assert detector.explain(later)[50].argmax() == 6
    events = detector.events(later)
    row = np.flatnonzero((events["started"] <= 50) & (events["ended"] > 50))
    assert events["new_tags"][row].tolist() == ["x6"]
    assert set(np.delete(events["new_tags"], row)) <= {""}


def test_shares_sum_to_one(fitted: SSMDetector, unseen: np.ndarray) -> None:
    unseen[10, :3] = np.nan
    shares = fitted.explain(unseen)
    assert (shares >= 0.0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)  # a sum of six doubles


def test_expected_is_a_forecast_in_the_tags_units(fitted: SSMDetector, unseen: np.ndarray) -> None:
    """It beats holding the last value, and a row's own value does not move it."""
    expected = fitted.expected(unseen)
    ours = np.abs(expected - unseen)[10:].mean()
    assert ours < 0.95 * np.abs(np.diff(unseen, axis=0))[9:].mean()
    unseen[300] += 100.0
    np.testing.assert_array_equal(fitted.expected(unseen)[:301], expected[:301])


def test_signs_are_scikit_learns(fitted: SSMDetector, unseen: np.ndarray) -> None:
    score = fitted.anomaly_score(unseen)
    np.testing.assert_array_equal(fitted.score_samples(unseen), -score)
    np.testing.assert_array_equal(fitted.decision_function(unseen), fitted.threshold_ - score)
    np.testing.assert_array_equal(fitted.p_value(unseen), 10.0**-score)
    assert fitted.offset_ == -fitted.threshold_


def test_known_faults_are_not_learnt() -> None:
    clean = _plant()
    faulty = clean.copy()
    faulty[500:800, 2] += 30.0
    labels = np.zeros(ROWS, dtype=int)
    labels[500:800] = 1
    left_out = SSMDetector().fit(faulty, labels=labels)
    assert (left_out.predict(faulty)[500:800] == -1).mean() > 0.9
    np.testing.assert_array_equal(
        left_out.anomaly_score(clean),
        SSMDetector().fit(faulty, exclude=labels == 1).anomaly_score(clean),
    )


def test_assets_do_not_leak_into_each_other(fitted: SSMDetector, unseen: np.ndarray) -> None:
    both = np.vstack([unseen, unseen])
    groups = np.repeat(["a", "b"], len(unseen))
    scores = fitted.anomaly_score(both, groups=groups)
    np.testing.assert_array_equal(scores[: len(unseen)], scores[len(unseen) :])


def test_events_of_a_frame_come_back_as_the_callers_frame() -> None:
    start = np.datetime64("2026-01-05", "ns")
    time = start + np.arange(ROWS) * np.timedelta64(300, "s")
    names = [f"tag {i}" for i in range(TAGS)]
    frame = pl.DataFrame(_plant(), schema=names).with_columns(time=time)
    detector = SSMDetector(alarm_budget=1.0).fit(frame)
    later = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == 700).then(80.0).otherwise("tag 3").alias("tag 3")
    )
    events = detector.events(later)
    assert isinstance(events, pl.DataFrame)
    hit = events.filter(pl.col("started") == time[700])
    assert hit["first_tag"].to_list() == ["tag 3"]
    assert hit["ended"][0] > hit["started"][0]
    assert hit["p_value"][0] == pytest.approx(10.0 ** -hit["peak"][0])


def test_a_budget_a_week_needs_to_know_how_long_a_row_is() -> None:
    with pytest.raises(ConfigError, match="period"):
        SSMDetector(alarm_budget=1.0).fit(_plant(200))
    strict = SSMDetector(alarm_budget=0.1, period="5min").fit(_plant())
    assert strict.threshold_ > SSMDetector(alarm_budget=7.0, period="5min").fit(_plant()).threshold_


@pytest.mark.parametrize(("rows", "tags"), [(2, 1), (3, 5), (10, 20), (50, 1), (200, 1)])
def test_few_rows_still_give_scores(rows: int, tags: int) -> None:
    readings = np.random.default_rng(0).normal(size=(rows, tags))
    scores = SSMDetector().fit(readings).anomaly_score(readings)
    assert np.isfinite(scores).all()


def test_constant_readings_are_normal() -> None:
    readings = np.full((100, 3), 4.0)
    detector = SSMDetector().fit(readings)
    assert (detector.predict(readings) == 1).all()


def test_a_saved_model_scores_alike(
    tmp_path: Path, fitted: SSMDetector, unseen: np.ndarray
) -> None:
    fitted.save(tmp_path / "model")
    loaded = SSMDetector.load(tmp_path / "model")
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(loaded.anomaly_score(unseen), fitted.anomaly_score(unseen))
    np.testing.assert_array_equal(loaded.predict(unseen), fitted.predict(unseen))


@pytest.mark.parametrize("change", [{"cell": {"lags": 9}}, {"count": 3}, {"threshold": "x"}])
def test_a_model_whose_parts_do_not_fit_is_refused(
    tmp_path: Path, fitted: SSMDetector, change: dict
) -> None:
    """The compiled cell trusts its arrays, so their shapes are checked when they come in."""
    fitted.save(tmp_path)
    head = json.loads((tmp_path / "model.json").read_text())
    head["config"] |= change
    (tmp_path / "model.json").write_text(json.dumps(head))
    with pytest.raises(ModelFileError):
        SSMDetector.load(tmp_path)


@pytest.mark.parametrize("name", ["labels", "exclude"])
def test_flags_that_do_not_fit_the_rows_are_refused(name: str) -> None:
    with pytest.raises(ShapeError, match=name):
        SSMDetector().fit(_plant(100), **{name: np.zeros(99)})
    with pytest.raises(DataError, match="2 or more"):
        SSMDetector().fit(_plant(100), **{name: np.ones(100)})


def test_a_closely_kept_tag_that_strays_is_named() -> None:
    """A tag that keeps to a hundredth is ten of those off, and a noisy one three of its own."""
    rng = np.random.default_rng(8)
    kept = np.sin(2 * np.pi * np.arange(3000) / 200) + 0.01 * rng.normal(size=3000)
    readings = np.column_stack([kept, rng.normal(size=3000)])
    readings[2500:2510] += np.outer((-1.0) ** np.arange(10), [0.1, 3.0])
    detector = SSMDetector().fit(readings[:2000])
    assert detector.explain(readings)[2500:2510, 0].mean() > 0.5
