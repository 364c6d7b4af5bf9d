"""The selective scan, defined: a loop over time in plain PyTorch.

Every other implementation is held against this one. It runs on any device and in any float
dtype, and autograd differentiates it as often as wanted.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F


def selective_scan_ref(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D_skip: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    *,
    delta_softplus: bool = True,
    initial_state: Tensor | None = None,
    lengths: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the output and the last state of a diagonal selective state space model.

    ::

        delta[t] = softplus(delta[t] + delta_bias)
        h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]
        y[t] = (sum_n C[t, n] h[t, n] + D_skip u[t]) silu(z[t])

    With a complex `A` every entry stands for a conjugate pair: the sum over n is twice its real
    part. Shapes, dtypes and the meaning of the arguments are those of
    `sensorssm_kernels.selective_scan`; the state's dtype is the accumulation dtype.

    References
    ----------
    Gu and Dao 2023, arXiv:2312.00752, Algorithms 1 and 2; Gu et al. 2022, arXiv:2206.11893 (S4D).
    """
    if cu_seqlens is not None:
        options = {"D_skip": D_skip, "delta_bias": delta_bias, "delta_softplus": delta_softplus}
        return _packed(u, delta, A, B, C, z, initial_state, cu_seqlens.tolist(), options)
    real = _accumulation_dtype(u, delta, A, B, C)
    kind = real.to_complex() if A.is_complex() else real
    step = delta.to(real) if delta_bias is None else delta.to(real) + delta_bias.to(real)
    step = F.softplus(step, threshold=30.0) if delta_softplus else step
    rates = (A if A.ndim == 2 else A[:, None]).to(kind)
    batch, length, dim = u.shape
    step, inputs = step.expand(batch, length, dim), u.to(real)
    gains, reads = _per_step(B, length, kind), _per_step(C, length, kind)
    state = initial_state
    if state is None:
        state = u.new_zeros(batch, dim, B.shape[-1], dtype=kind)
    state, outputs = state.to(kind), []
    # unbind, not x[:, t]: the gradient of an index is a zero tensor of the whole size, per step.
    for t, (d, x, gain, read) in enumerate(
        zip(step.unbind(1), inputs.unbind(1), gains, reads, strict=True)
    ):
        new = torch.exp(d[..., None] * rates) * state + (d * x)[..., None] * gain
        y = (new * read).sum(-1)
        if lengths is not None:
            live = (t < lengths)[:, None]
            new, y = torch.where(live[..., None], new, state), torch.where(live, y, 0)
        outputs.append(2 * y.real if A.is_complex() else y)
        state = new
    y = torch.stack(outputs, dim=1) if outputs else u.new_zeros(u.shape, dtype=real)
    y = y if D_skip is None else y + inputs * D_skip.to(real)
    y = y if z is None else y * F.silu(z.to(real))
    if lengths is not None:
        live = torch.arange(length, device=u.device) < lengths[:, None]
        y = torch.where(live[..., None], y, 0)
    return y.to(u.dtype), state


def _accumulation_dtype(*tensors: Tensor) -> torch.dtype:
    """Return float64 when any argument has it, else float32: states never round to 16 bits."""
    doubles = (torch.float64, torch.complex128)
    return torch.float64 if any(x.dtype in doubles for x in tensors) else torch.float32


def _per_step(matrix: Tensor, length: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Return B or C of each step, broadcastable to (B, D, N): (B, L, N) selective, (D, N) fixed."""
    matrix = matrix.to(dtype)
    return matrix[:, :, None].unbind(1) if matrix.ndim == 3 else (matrix,) * length


def _packed(u, delta, A, B, C, z, initial_state, edges, options):
    """Run each packed row alone, from its own initial state."""
    outputs, states = [], []
    for row, (start, end) in enumerate(pairwise(edges)):
        part = slice(start, end)
        y, state = selective_scan_ref(
            u[:, part],
            delta[:, part] if delta.ndim == 3 else delta,
            A,
            B[:, part] if B.ndim == 3 else B,
            C[:, part] if C.ndim == 3 else C,
            z=None if z is None else z[:, part],
            initial_state=None if initial_state is None else initial_state[row : row + 1],
            **options,
        )
        outputs.append(y)
        states.append(state)
    if not states:
        kind = A.dtype if A.is_complex() else torch.float32
        return u.new_zeros(u.shape), u.new_zeros(0, u.shape[2], B.shape[-1], dtype=kind)
    return torch.cat(outputs, dim=1), torch.cat(states)
