"""Starting values, all drawn from the caller's generator: the global one is never touched."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn


def uniform(*size: int, bound: float, generator: Generator | None) -> Tensor:
    """Return values drawn evenly from (-bound, bound)."""
    return (torch.rand(size, generator=generator) * 2 - 1) * bound


def linear(
    inputs: int, outputs: int, *, bias: bool = True, generator: Generator | None
) -> nn.Linear:
    """Return a linear layer started as PyTorch does, but from `generator`."""
    layer = nn.Linear(inputs, outputs, bias=bias, device="meta").to_empty(device="cpu")
    redraw(layer, bound=inputs**-0.5, generator=generator)
    return layer


def redraw(layer: nn.Module, *, bound: float, generator: Generator | None) -> None:
    """Draw every parameter of `layer` evenly from (-bound, bound), in place."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(uniform(*parameter.shape, bound=bound, generator=generator))


def log_decay(dim: int, state_size: int) -> Tensor:
    """Return ``log(-A)`` for A = -1, -2, ..., -N in every channel, shape (D, N).

    References
    ----------
    Gu et al. 2022, arXiv:2206.11893 (S4D-Real); Mamba's code calls it `A_log`.
    """
    rates = torch.arange(1, state_size + 1, dtype=torch.float32)
    return rates.log().repeat(dim, 1)


def oscillation(dim: int, pairs: int) -> tuple[Tensor, Tensor]:
    """Return ``log(-Re A)`` and ``Im A`` for A = -1/2 + i pi n, n from 0, shapes (D, N / 2).

    References
    ----------
    Gu et al. 2022, arXiv:2206.11893 (S4D-Lin).
    """
    turns = math.pi * torch.arange(pairs, dtype=torch.float32)
    return torch.full((dim, pairs), 0.5).log(), turns.repeat(dim, 1)


def delta_bias(
    dim: int, *, low: float = 1e-3, high: float = 0.1, generator: Generator | None
) -> Tensor:
    """Return biases whose softplus is log-uniform in (low, high), shape (D,).

    With A from -1 to -16 the channels then remember from under one to a thousand steps.
    """
    spread = torch.rand(dim, generator=generator)
    delta = torch.exp(math.log(low) + spread * math.log(high / low))
    return delta + torch.log(-torch.expm1(-delta))  # the inverse of softplus, exact when small
