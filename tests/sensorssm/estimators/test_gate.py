"""The gate: what is tuned on is not judged by, and luck is not a gain."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators.gate import Gain, gain, shrinkage, split_validation


def test_no_judging_target_was_seen_in_tuning() -> None:
    """Between the last row tuned on and the first that judges lies a horizon, in every asset."""
    rows = np.r_[600:1000, 1500:2000]
    split = split_validation(rows, np.array([0, 1000]), horizon=24, blocks=4)
    judged = np.concatenate(split.blocks)
    for low, high in ((0, 1000), (1000, 2000)):
        tuned = split.tune[(split.tune >= low) & (split.tune < high)]
        own = judged[(judged >= low) & (judged < high)]
        assert len(tuned) and len(own)
        assert own.min() - tuned.max() > 24
    assert len(split.blocks) == 4
    assert len(set(judged)) == len(judged) == sum(len(block) for block in split.blocks)


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_too_few_rows_to_judge_by_are_said_to_be(size: int) -> None:
    """With nothing in some block the split is not usable, and nothing breaks."""
    split = split_validation(np.arange(size), np.array([0]), horizon=24, blocks=4)
    assert not split.is_usable


def test_shrinkage_finds_the_share_that_is_true() -> None:
    """A correction twice too large is halved, noise is nearly dropped, a harmful one is dropped."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, 3, 3))
    residual = truth + 0.1 * rng.normal(size=truth.shape)
    correction = truth.copy()
    correction[..., 0] *= 2
    correction[..., 1] = rng.normal(size=truth.shape[:2])
    correction[..., 2] *= -1
    residual[::7] = np.nan
    share = shrinkage(residual, correction)
    assert share[0] == pytest.approx(0.5, abs=0.01)
    assert share[1] < 0.05
    assert share[2] == 0.0


def test_gain_by_hand() -> None:
    """Errors 2 and 4 corrected by 1 each: 6 becomes 4, and 20 becomes 10."""
    residual = np.array([[[2.0]], [[-4.0]], [[np.nan]]])
    correction = np.array([[[1.0]], [[-1.0]], [[5.0]]])
    found = gain([(residual, correction)] * 3)
    assert found.mean == pytest.approx(1 / 3)
    assert found.square == pytest.approx([0.5] * 3)
    assert found.is_earned


def blocks_of(changes: list[float]) -> list:
    """Return blocks in which the absolute error changes by these shares."""
    return [(np.ones((5, 2, 1)), np.full((5, 2, 1), change)) for change in changes]


def test_a_gain_within_one_sigma_is_not_kept() -> None:
    """A mean gain that one block makes alone is luck; a smaller but even one is kept."""
    assert not gain(blocks_of([0.30, -0.05, -0.05, -0.05])).is_earned
    assert gain(blocks_of([0.02, 0.03, 0.02, 0.03])).is_earned
    assert not gain(blocks_of([0.0, 0.0, 0.0])).is_earned


def test_a_gain_in_absolute_error_that_costs_square_error_is_not_kept() -> None:
    """Moving a skewed residual to its median helps one measure and harms the other."""
    residual = np.array([0.0] * 6 + [4.0, 4.0]).reshape(-1, 1, 1)
    assert not gain([(residual - 1.0, np.full((8, 1, 1), -1.0))] * 4).is_earned


def test_blocks_without_any_target_count_as_no_gain() -> None:
    """Nothing to judge by is not a reason to keep."""
    empty = (np.full((3, 2, 1), np.nan), np.ones((3, 2, 1)))
    assert not gain([empty] * 3).is_earned


def test_a_gain_that_blocks_disagree_on_is_not_kept() -> None:
    """One block of six may be worse, two may not, however much the others gain."""
    assert gain(blocks_of([0.2, 0.2, 0.2, 0.2, 0.2, -0.01])).is_earned
    assert not gain(blocks_of([0.2, 0.2, 0.2, 0.2, -0.01, -0.01])).is_earned


def test_a_gain_too_small_to_be_worth_a_network_is_not_kept() -> None:
    """All blocks gain 0.3 %, and still it is not kept; at 0.8 % it is."""
    assert not gain(blocks_of([0.003, 0.0031, 0.003, 0.0031])).is_earned
    assert gain(blocks_of([0.008, 0.0081, 0.008, 0.0081])).is_earned


def test_judging_rows_that_hold_few_horizons_ask_for_more() -> None:
    """The same gains count for less where neighbouring rows share most of their targets."""
    gains = np.array([0.03, 0.01, 0.05, 0.02])
    assert Gain(gains, gains, horizons=100.0).is_earned
    assert not Gain(gains, gains, horizons=0.5).is_earned
