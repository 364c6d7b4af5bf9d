"""The selective scan on the CPU: what the compiled loops read and write, and what becomes of it."""

# pyright: reportCallIssue=false
from __future__ import annotations

import torch
from torch import Tensor

from sensorssm_kernels import scan_cpu_loops as loops
from sensorssm_kernels.cpu_layout import (
    LOG2E,
    channels,
    count_parts,
    fixed,
    pack,
    pad_states,
    share_strips,
    stream,
    unpack,
)
from sensorssm_kernels.scan_plan import CPU_CHUNK, CPU_LANES, round_up, saved_shape
from sensorssm_kernels.scan_rows import Rows, locate_rows


def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    batch, length, dim = u.shape
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    inputs = _inputs(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    state = pack(initial_state, len(rows.starts), dim, B.shape[-1])
    shape = saved_shape("cpu", u.shape, A, B.shape[-1], cu_seqlens)
    saved = state.new_empty(shape if keep else (0, *shape[1:]))
    y = (torch.empty if lengths is None else torch.zeros)(batch * length, dim)
    outputs = [x.numpy() for x in (y, state, saved)]
    share_strips(
        lambda row, part, *strips: loops.forward(row, *strips, inputs, *outputs, keep),
        state.shape[:2],
        work=length * state.shape[2],
    )
    return y.view(u.shape).to(u.dtype), unpack(state, dim, B.shape[-1]), saved


def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    (batch, length, dim), states = u.shape, B.shape[-1]
    tokens = batch * length
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    inputs = _inputs(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    carry = pack(grad_state, len(rows.starts), dim, states)
    count, strips, size, _ = carry.shape
    fresh = torch.zeros if lengths is not None else torch.empty
    parts = count_parts(count, strips)
    each_channel = [torch.zeros(count, strips * CPU_LANES) for _ in range(3)]
    grads = loops.Grads(
        u=fresh(tokens, dim),
        delta=fresh(tokens, dim),
        z=fresh(0 if z is None else tokens, dim),
        A=torch.zeros_like(carry) if A.ndim == 2 else each_channel[2],
        B=fresh(parts, tokens, size) if B.ndim == 3 else torch.zeros_like(carry),
        C=fresh(parts, tokens, size) if C.ndim == 3 else torch.zeros_like(carry),
        skip=each_channel[0],
        bias=each_channel[1],
        carry=carry,
    )
    arrays = loops.Grads(*(x.numpy() for x in grads))
    given = saved.numpy(), stream(grad_y).numpy()
    share_strips(
        lambda row, part, *strips: loops.backward(row, part, *strips, inputs, *given, arrays),
        (count, strips),
        work=2 * length * size,
    )

    def shared(like: Tensor, grad: Tensor) -> Tensor:
        """Add up over rows or parts what all of them share."""
        total = grad.sum(0)
        if grad.ndim == 4:
            total = unpack(total[None], dim, states)[0]
        return total[..., : like.shape[-1]].reshape(like.shape).to(like.dtype)

    return (
        grads.u.view(u.shape).to(u.dtype),
        grads.delta.view(delta.shape).to(delta.dtype),
        shared(A, grads.A),
        shared(B, grads.B),
        shared(C, grads.C),
        None if D_skip is None else shared(D_skip, grads.skip),
        None if z is None else grads.z.view(z.shape).to(z.dtype),
        None if delta_bias is None else shared(delta_bias, grads.bias),
        None if initial_state is None else unpack(carry, dim, states).to(initial_state.dtype),
    )


def _inputs(rows: Rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus: bool) -> loops.Inputs:
    """Return what the loops read, as flat float32 arrays."""
    dim, states = u.shape[2], B.shape[-1]
    width = round_up(dim, CPU_LANES)
    rates = A.detach().float() * LOG2E
    tensors = (
        *(rows.starts, rows.lengths, rows.chunk_at),
        *(stream(u), stream(delta)),
        fixed(rates, dim, states) if A.ndim == 2 else channels(rates, dim, width),
        *(stream(pad_states(x, states)) if x.ndim == 3 else fixed(x, dim, states) for x in (B, C)),
        channels(D_skip, dim, width),
        stream(u if z is None else z),
        channels(delta_bias, dim, width),
    )
    return loops.Inputs(*(x.numpy() for x in tensors), gated=z is not None, softened=softplus)
