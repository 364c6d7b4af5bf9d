"""A score means the same in every operating mode, and rare modes lean on the common table."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.scoring.modes import Modes, find_mode_tag, fit_modes, rescore

ROWS = 8000


def _scores(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return rows (n, 2) whose second tag tells the mode, and scores three times as high in it."""
    rng = np.random.default_rng(seed)
    mode = (np.arange(ROWS) // 250 % 2).astype(float)
    scores = rng.exponential(np.where(mode > 0, 0.6, 0.2))
    return np.column_stack([rng.normal(size=ROWS), mode]), scores


def test_each_mode_exceeds_a_level_as_often_as_it_says() -> None:
    """On unseen rows, at 10 % and 1 %; within two standard errors, and the shrinkage."""
    modes = fit_modes(*_scores(), tag=1)
    rows, scores = _scores(1)
    for value in (0.0, 1.0):
        here = rows[:, 1] == value
        common, own = scores[here], rescore(modes, scores, rows)[here]
        for level in (1.0, 2.0):
            wanted, error = 10.0**-level, 2 * np.sqrt(10.0**-level / here.sum())
            assert abs(np.mean(own > level) - wanted) < 0.35 * wanted + error
        assert np.mean(common > 1.0) < 0.02 or np.mean(common > 1.0) > 0.15  # it had to be mended


def test_a_higher_score_stays_higher_within_a_mode() -> None:
    modes = fit_modes(*_scores(), tag=1)
    rising = np.linspace(0.0, 12.0, 500)
    for value in (0.0, 1.0):
        rows = np.column_stack([np.zeros(500), np.full(500, value)])
        assert (np.diff(rescore(modes, rising, rows)) >= 0.0).all()


def test_a_row_at_a_time_is_the_batch_to_the_bit() -> None:
    rows, scores = _scores(2)
    scores[5] = np.nan
    modes = fit_modes(rows, scores, tag=1)
    batch = rescore(modes, scores, rows)
    single = [rescore(modes, scores[t : t + 1], rows[t : t + 1])[0] for t in range(300)]
    np.testing.assert_array_equal(batch[:300], single)


@pytest.mark.parametrize("value", [np.nan, 2.0, 0.5])
def test_an_unknown_mode_keeps_the_common_score(value: float) -> None:
    modes = fit_modes(*_scores(), tag=1)
    scores = np.array([0.5, 3.0])
    np.testing.assert_array_equal(rescore(modes, scores, np.full((2, 2), value)), scores)


def test_a_rare_mode_moves_its_scores_less() -> None:
    rows, scores = _scores()
    rare = rows.copy()
    rare[310:, 1] = 0.0  # sixty rows of the loud mode are left
    few, many = fit_modes(rare, scores, tag=1), fit_modes(rows, scores, tag=1)
    assert few.trust[1] == pytest.approx(60 / 560)
    at, row = np.array([3.0]), np.array([[0.0, 1.0]])
    assert abs(rescore(few, at, row)[0] - 3.0) < abs(rescore(many, at, row)[0] - 3.0)


def test_the_tag_that_tells_the_mode_is_found() -> None:
    rows, scores = _scores()
    other = (np.arange(ROWS) // 100 % 3).astype(float)  # a switch that changes nothing
    assert find_mode_tag(np.column_stack([other, rows]), scores) == 2


@pytest.mark.parametrize("seed", range(10))
def test_a_switch_that_changes_nothing_is_no_mode(seed: int) -> None:
    rng = np.random.default_rng(seed)
    switch = (np.arange(ROWS) // 300 % 2).astype(float)
    assert find_mode_tag(switch[:, None], rng.exponential(0.4, size=ROWS)) is None


def test_what_happened_once_is_no_mode() -> None:
    """A switch thrown in one half only, or that came with a single bad stretch."""
    _, scores = _scores()
    once = (np.arange(ROWS) > 6000).astype(float)
    assert find_mode_tag(once[:, None], scores + 2 * once) is None
    switch = (np.arange(ROWS) // 300 % 2).astype(float)
    calm = np.random.default_rng(0).exponential(0.4, size=ROWS)
    calm[300:600] += 3.0
    assert find_mode_tag(switch[:, None], calm) is None


@pytest.mark.parametrize(("trust", "wanted"), [(0.0, 2.0), (0.25, 1.75), (1.0, 1.0)])
def test_scores_move_as_far_as_the_mode_is_trusted(trust: float, wanted: float) -> None:
    """From the common score, 2, towards what the mode's own table makes of it, 1."""
    knots = np.array([[0.0, 4.0]])
    modes = Modes(0, np.zeros(1), np.array([trust]), knots, knots / 2, np.zeros(1))
    assert rescore(modes, np.array([2.0]), np.zeros((1, 1)))[0] == pytest.approx(wanted)
