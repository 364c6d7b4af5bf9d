"""Losses over targets that may be missing: a NaN target costs nothing and moves nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def masked_mean(loss: Tensor, target: Tensor) -> Tensor:
    """Return the mean of `loss` where `target` is a number, and 0 where none is."""
    there = target.isfinite().expand_as(loss)
    return torch.where(there, loss, 0.0).sum() / there.sum().clamp_min(1)


def pinball_loss(quantiles: Tensor, target: Tensor, levels: Sequence[float]) -> Tensor:
    """Return twice the mean pinball loss, which is the CRPS seen at `levels`.

    At the level 0.5 alone it is the mean absolute error.

    Parameters
    ----------
    quantiles : Tensor, shape (..., Q)
    target : Tensor, shape (...), NaN where missing
    levels : the Q levels
    """
    target = target[..., None]
    error = torch.nan_to_num(target) - quantiles
    level = torch.as_tensor(levels, dtype=error.dtype, device=error.device)
    return masked_mean(2 * torch.maximum(level * error, (level - 1) * error), target)


def huber_loss(forecast: Tensor, target: Tensor, *, bend: float = 1.0) -> Tensor:
    """Return the mean Huber loss: half the square below `bend`, straight above it."""
    size = (torch.nan_to_num(target) - forecast).abs()
    inner = size.clamp_max(bend)
    return masked_mean(inner * (size - inner / 2), target)


def hybrid_loss(
    quantiles: Tensor, target: Tensor, levels: Sequence[float], *, bend: float = 1.0
) -> Tensor:
    """Return the Huber loss of the middle level plus the pinball loss of the spread around it.

    The spread sees the middle as given: a point forecast for the mean and calibrated intervals
    are then learned at once, and neither pulls at the other.
    """
    middle = min(range(len(levels)), key=lambda i: abs(levels[i] - 0.5))
    centre = quantiles[..., middle]
    around = quantiles - (centre - centre.detach())[..., None]
    point = huber_loss(centre, target, bend=bend)
    return point + pinball_loss(around, target, levels)
