"""Losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from sensorssm.models import huber_loss, hybrid_loss, pinball_loss


def test_pinball_by_hand() -> None:
    """Target 3: level 0.1 at 1 costs 2*0.1*2, level 0.9 at 4 costs 2*0.1*1; their mean is 0.3."""
    loss = pinball_loss(torch.tensor([[1.0, 4.0]]), torch.tensor([3.0]), (0.1, 0.9))
    assert loss.item() == pytest.approx((0.4 + 0.2) / 2)


def test_pinball_of_the_median_is_the_absolute_error() -> None:
    """With the level 0.5 alone: |3 - 1| and |3 - 7|."""
    loss = pinball_loss(torch.tensor([[1.0], [7.0]]), torch.tensor([3.0, 3.0]), (0.5,))
    assert loss.item() == pytest.approx(3.0)


def test_huber_by_hand() -> None:
    """Errors 0.5 and 3 with a bend at 1: 0.125 and 2.5."""
    loss = huber_loss(torch.tensor([0.0, 0.0]), torch.tensor([0.5, -3.0]))
    assert loss.item() == pytest.approx((0.125 + 2.5) / 2)


def test_hybrid_lets_the_centre_learn_from_huber_and_the_gaps_from_pinball() -> None:
    """The value is the sum of both; each moves its own part only."""
    target, levels = torch.tensor([2.5]), (0.1, 0.5, 0.9)

    def quantiles(centre: torch.Tensor, gaps: torch.Tensor) -> torch.Tensor:
        return torch.stack([centre - gaps[0], centre, centre + gaps[1]], dim=-1)

    centre, gaps = torch.tensor([2.0], requires_grad=True), torch.tensor([[1.0], [3.0]])
    gaps.requires_grad_()
    loss = hybrid_loss(quantiles(centre, gaps), target, levels)
    assert loss.item() == pytest.approx(0.125 + 2 * (0.1 * 1.5 + 0.5 * 0.5 + 0.1 * 2.5) / 3)
    by_centre, by_gaps = torch.autograd.grad(loss, [centre, gaps])
    assert by_centre.item() == pytest.approx(-0.5)
    assert by_gaps.flatten().tolist() == pytest.approx([2 * 0.1 / 3, 2 * 0.1 / 3])


@pytest.mark.parametrize("loss", [pinball_loss, hybrid_loss])
def test_a_missing_target_costs_nothing_and_moves_nothing(loss) -> None:
    """The loss is that of the targets that are there; the others get a gradient of 0."""
    quantiles = torch.tensor([[1.0, 2.0], [5.0, 6.0]], requires_grad=True)
    found = loss(quantiles, torch.tensor([1.5, math.nan]), (0.5, 0.9))
    there = loss(quantiles[:1], torch.tensor([1.5]), (0.5, 0.9))
    assert found.item() == pytest.approx(there.item())
    found.backward()
    assert quantiles.grad is not None
    assert torch.equal(quantiles.grad[1], torch.zeros(2))


def test_no_target_at_all_costs_nothing() -> None:
    """An empty mean is 0, not NaN."""
    quantiles = torch.zeros(3, 1, requires_grad=True)
    loss = pinball_loss(quantiles, torch.full((3,), math.nan), (0.5,))
    loss.backward()
    assert loss.item() == 0.0
    assert quantiles.grad is not None and quantiles.grad.isfinite().all()
