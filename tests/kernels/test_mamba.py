"""The drop-in for mamba_ssm: its layout, its groups, its fixed and complex matrices."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sensorssm_kernels import ArgumentError
from sensorssm_kernels.mamba import selective_scan_fn
from tests.kernels.factories import error


def mamba_reference(u, delta, A, B, C, D, z, bias):
    """Mamba's published recurrence in its own layout, one state at a time, in double."""
    batch, dim, length = u.shape
    delta = F.softplus(delta + bias[:, None])
    state = torch.zeros(batch, dim, A.shape[1], dtype=A.dtype)
    outputs = []
    for t in range(length):
        b, c = _at(B, t, dim), _at(C, t, dim)
        state = torch.exp(delta[:, :, t, None] * A) * state
        state = state + (delta[:, :, t] * u[:, :, t])[..., None] * b
        y = (state * c).sum(-1)
        outputs.append(2 * y.real if A.is_complex() else y)
    y = torch.stack(outputs, dim=2) + D[:, None] * u
    return y * F.silu(z), state


def _at(matrix, t, dim):
    """Return B or C of one step, broadcastable to (B, D, N)."""
    if matrix.ndim == 2:
        return matrix
    if matrix.ndim == 3:
        return matrix[..., t][:, None]
    return matrix[..., t].repeat_interleave(dim // matrix.shape[1], dim=1)


@pytest.mark.parametrize("shape", ["fixed", "plain", "grouped"])
@pytest.mark.parametrize("complex_rates", [False, True], ids=["real", "complex"])
def test_equals_mambas_recurrence(shape: str, complex_rates: bool) -> None:
    """Outputs and last state equal Mamba's definition, for every layout of B and C."""
    draw = torch.Generator().manual_seed(0)
    batch, dim, length, states = 2, 6, 12, 4

    def normal(*size):
        return torch.randn(*size, generator=draw)

    rates = -torch.exp(normal(dim, states))
    A = torch.complex(rates, 3 * normal(dim, states)) if complex_rates else rates
    sizes = {
        "fixed": (dim, states),
        "plain": (batch, states, length),
        "grouped": (batch, 2, states, length),
    }

    def matrix():
        if not complex_rates:
            return normal(*sizes[shape])
        return torch.complex(normal(*sizes[shape]), normal(*sizes[shape]))

    B, C = matrix(), matrix()
    streams = [normal(batch, dim, length) for _ in range(3)]
    D, bias = normal(dim), normal(dim) - 1
    wanted, last = mamba_reference(*streams[:2], A, B, C, D, streams[2], bias)
    packed = [
        torch.view_as_real(m.contiguous()).flatten(-2) if m.is_complex() and m.ndim > 2 else m
        for m in (B, C)
    ]
    out, state = selective_scan_fn(
        *streams[:2], A, *packed, D, streams[2], bias, delta_softplus=True, return_last_state=True
    )
    assert error(out, wanted) < 2e-6
    assert error(state, last) < 2e-6


def test_groups_must_divide_the_channels() -> None:
    """Three groups over four channels are refused by name."""
    u, matrix = torch.zeros(1, 4, 5), torch.zeros(1, 3, 2, 5)
    with pytest.raises(ArgumentError, match="`B`: found 3 groups"):
        selective_scan_fn(u, u, -torch.ones(4, 2), matrix, matrix)
