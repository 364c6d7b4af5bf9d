"""The measures a recipe can name: pooled or averaged over assets, on numbers made by hand."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from sensorssm.evaluation.anomaly import nab_score
from sensorssm_pipelines.jobs.measures import MEASURES, Judged, measured, written
from sensorssm_pipelines.recipes.parts import Judge
from sensorssm_pipelines.recipes.values import Measure


def judged(scores: list[float], faulty: list[int], threshold: float = 3.0) -> Judged:
    series = np.array(scores)
    return Judged(series, series > threshold, np.array(faulty, dtype=bool))


def only(name: str, *parts: Judged) -> float | None:
    return measured(parts, Judge(measures=[name], vus_window=2))[name]  # type: ignore[list-item]


def test_every_name_a_recipe_may_give_has_a_measure() -> None:
    assert set(get_args(Measure)) == set(MEASURES)


def test_shares_at_one_percent_take_one_level_over_all_assets() -> None:
    """A hundred normal rows of one asset set the level that the fault of another must pass."""
    calm = judged([*np.linspace(0, 1, 100), 5.0], [0] * 100 + [1])
    faulty = judged([0.5, 0.5, 2.0, 2.0, 2.0, 0.5], [0, 1, 1, 1, 1, 1])
    assert only("found_at_1pc", calm, faulty) == pytest.approx((1.0 + 3 / 5) / 2)
    assert only("rows_late_at_1pc", calm, faulty) == pytest.approx((1.0 + 1.0) / 2)


def test_an_asset_without_faults_counts_among_the_normal_rows_alone() -> None:
    """It cannot change a mean over faults, and does change a pooled rate."""
    fault = judged([0.0, 5.0, 5.0, 0.0], [0, 1, 0, 0])
    quiet = judged([0.0] * 6, [0] * 6)
    assert only("auc_pr", fault, quiet) == only("auc_pr", fault) == pytest.approx(0.5)
    assert only("false_alarm_rate", fault, quiet) == pytest.approx(1 / 9)


def test_nab_pays_for_news_only_and_skips_what_came_before() -> None:
    """A score that repeats is one alarm; the rows before the judged ones shift the windows."""
    scores = np.zeros(200)
    scores[150:160] = 5.0
    faulty = np.zeros(200, dtype=bool)
    faulty[150:170] = True
    once = np.zeros(300)
    once[250] = 5.0
    part = Judged(scores, scores > 3, faulty, before=100)
    assert only("nab", part) == pytest.approx(nab_score([(once, [(250, 269)])]))
    repeated = scores.copy()
    repeated[190] = 5.0  # a false row, silent behind the same height 40 rows before
    assert only("nab", Judged(repeated, scores > 3, faulty, 100)) == only("nab", part)


def test_what_needs_scores_is_unknown_where_only_alarms_are() -> None:
    part = Judged(None, np.array([True, False]), np.array([True, False]))
    found = measured([part], Judge())
    assert found == {
        "f1": 1.0, "false_alarm_rate": 0.0, "missed_alarm_rate": 0.0, "vus_pr": None,
    }  # fmt: skip
    assert written("vus_pr", None) == "" and written("missed_alarm_rate", 0.125) == "12.5%"
