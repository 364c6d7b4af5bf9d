"""Causal normalisation: against weighted means written out, with gaps and uneven time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sensorssm.models import CausalNorm

SPAN = 10.0


def readings(length: int = 60, tags: int = 3, gaps: float = 0.3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, length, tags, generator=generator) * 3 + 7
    missing = torch.rand(x.shape, generator=generator) < gaps
    return x.masked_fill(missing, math.nan)


def slow(x: np.ndarray, elapsed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level and scale of one tag as weighted means over its whole past, by definition."""
    level, scale, deviations = np.zeros(len(x)), np.ones(len(x)), np.zeros(len(x))
    clock = np.cumsum(elapsed)
    for t in range(len(x)):
        age = clock[t] - clock[: t + 1]
        weight = np.exp(-age / SPAN) * -np.expm1(-elapsed[: t + 1] / SPAN)
        weight = weight * np.isfinite(x[: t + 1])
        if weight.sum() > 0:
            level[t] = (weight * np.nan_to_num(x[: t + 1])).sum() / weight.sum()
            deviations[t] = abs(x[t] - level[t]) if np.isfinite(x[t]) else 0.0
            spread = (weight * deviations[: t + 1]).sum() / weight.sum()
            scale[t] = spread if spread > 1e-12 else 1.0
    return level, scale


@pytest.mark.parametrize("timed", [False, True])
def test_level_and_scale_are_the_weighted_means_of_the_past(timed: bool) -> None:
    """Missing readings take no weight, and a reading weighs the time that it stands for."""
    x = readings().double()
    generator = torch.Generator().manual_seed(3)
    elapsed = 0.2 + torch.rand(2, 60, generator=generator, dtype=torch.float64) if timed else None
    norm = CausalNorm(3, SPAN).double()
    found, _ = norm(x, norm.init_state(2), elapsed)
    one = np.ones((2, 60)) if elapsed is None else elapsed.numpy()
    for row in range(2):
        for tag in range(3):
            level, scale = slow(x[row, :, tag].numpy(), one[row])
            np.testing.assert_allclose(found.level[row, :, tag].numpy(), level, rtol=1e-9)
            np.testing.assert_allclose(found.scale[row, :, tag].numpy(), scale, rtol=1e-9)


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65])
def test_steps_equal_one_scan(length: int) -> None:
    """One reading at a time gives what a whole context gives."""
    x, norm = readings(length), CausalNorm(3, SPAN)
    whole, last = norm(x, norm.init_state(2))
    state, parts = norm.init_state(2), []
    for row in x.split(1, dim=1):
        part, state = norm(row, state)
        parts.append(part.z)
    # z divides by a scale that is small at first, so float32 differences grow to 1e-4 there
    torch.testing.assert_close(torch.cat(parts, 1), whole.z, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(state, last, rtol=1e-5, atol=1e-5)


def test_shifting_and_scaling_a_tag_changes_nothing() -> None:
    """The result has no unit: 100 x + 50 reads like x."""
    x, norm = readings().double(), CausalNorm(3, SPAN).double()
    z = norm(x, norm.init_state(2))[0].z
    other = norm(100 * x + 50, norm.init_state(2))[0].z
    torch.testing.assert_close(z, other, rtol=1e-9, atol=1e-9)


def test_a_constant_tag_reads_zero_and_a_dead_one_stays_finite() -> None:
    """No division by a scale of nothing, no rounding blown up, with gradients too."""
    x = torch.full((1, 40, 2), 5.0)
    x[..., 1] = math.nan
    x.requires_grad_()
    norm = CausalNorm(2, SPAN)
    found, state = norm(x, norm.init_state(1))
    assert torch.equal(found.z, torch.zeros(1, 40, 2))
    assert torch.equal(found.scale[..., 1], torch.ones(1, 40))
    assert torch.equal(found.seen[0, 0], torch.tensor([1.0, 0.0]))
    (found.z.sum() + state.sum()).backward()
    assert x.grad is not None and x.grad.isfinite().all()
