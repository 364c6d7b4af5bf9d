"""The causal convolution, defined: a weighted sum of shifted readings in plain PyTorch."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F


def causal_conv_ref(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    state: Tensor | None = None,
    *,
    activation: str | None = "silu",
    lengths: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return ``y[t] = act(bias + sum_w weight[:, w] x[t - W + 1 + w])`` and the last readings.

    Shapes, dtypes and meaning as in `sensorssm_kernels.causal_conv`.
    """
    if cu_seqlens is not None:
        return _packed(x, weight, bias, state, activation, cu_seqlens.tolist())
    batch, length, dim = x.shape
    taps = weight.shape[1]
    if state is None:
        state = x.new_zeros(batch, taps - 1, dim)
    padded = torch.cat([state.to(x.dtype), x], dim=1)
    exact = torch.promote_types(x.dtype, torch.float32)
    y = torch.zeros(x.shape, dtype=exact, device=x.device)
    y = y if bias is None else y + bias.to(exact)
    for tap in range(taps):
        y = y + padded[:, tap : tap + length].to(exact) * weight[:, tap].to(exact)
    y = F.silu(y) if activation == "silu" else y
    if lengths is None:
        return y.to(x.dtype), padded[:, length:]
    live = torch.arange(length, device=x.device) < lengths[:, None]
    last = lengths[:, None] + torch.arange(taps - 1, device=x.device)
    state = padded.gather(1, last[..., None].expand(-1, -1, dim))
    return torch.where(live[..., None], y, 0).to(x.dtype), state


def _packed(x, weight, bias, state, activation, edges):
    """Convolve each packed row alone, from its own state."""
    parts = [
        causal_conv_ref(
            x[:, start:end],
            weight,
            bias,
            None if state is None else state[row : row + 1],
            activation=activation,
        )
        for row, (start, end) in enumerate(pairwise(edges))
    ]
    if not parts:
        return x.new_zeros(x.shape), x.new_zeros(0, weight.shape[1] - 1, x.shape[2])
    outputs, states = zip(*parts, strict=True)
    return torch.cat(outputs, dim=1), torch.cat(states)
