"""The scores that need no model."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm_pipelines.jobs.naive import NAIVE, change_score, distance_score, naive_threshold

RNG = np.random.default_rng(0)
NORMAL = RNG.normal([10.0, -3.0, 7.0], [1.0, 0.1, 0.0], (500, 3))  # the last tag never moves


def test_distance_counts_spreads_of_the_worst_tag() -> None:
    values = np.vstack([NORMAL, [10.0, -3.0 + 0.5, 7.0]])
    assert distance_score(values, 500)[-1] == pytest.approx(5.0, rel=0.1)


def test_change_sees_a_step_once() -> None:
    """A level that jumps by 20 spreads is one large change, then none."""
    values = NORMAL.copy()
    values[300:, 0] += 20.0
    scores = change_score(values, 250)
    assert scores[300] > 10 > max(scores[299], scores[301])


@pytest.mark.parametrize("name", sorted(NAIVE))
def test_naive_scores_are_finite_and_look_at_the_past_alone(name: str) -> None:
    """Missing readings and frozen tags give no NaN; later rows change no earlier score."""
    values = NORMAL.copy()
    values[450:, 1] = np.nan
    whole = NAIVE[name](values, 200)
    assert np.isfinite(whole).all()
    np.testing.assert_array_equal(NAIVE[name](values[:400], 200), whole[:400])


def test_the_threshold_is_passed_at_the_rate_asked_for() -> None:
    scores = RNG.normal(size=10_000)
    limit = naive_threshold(scores, 10_000, 0.01)
    assert (scores > limit).mean() == pytest.approx(0.01, abs=1e-3)
