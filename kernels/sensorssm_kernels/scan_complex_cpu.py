"""The selective scan with complex rates on the CPU (S4D): what its compiled loops read and write."""

# pyright: reportCallIssue=false
from __future__ import annotations

import math

import torch
from torch import Tensor

from sensorssm_kernels import scan_complex_cpu_adjoint as adjoint
from sensorssm_kernels import scan_complex_cpu_loops as loops
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
from sensorssm_kernels.scan_cpu_loops import Grads
from sensorssm_kernels.scan_plan import CPU_CHUNK, CPU_LANES, round_up, saved_shape
from sensorssm_kernels.scan_rows import Rows, locate_rows


def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    (batch, length, dim), states = u.shape, B.shape[-1]
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    inputs = _inputs(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    state = _pack_planes(initial_state, len(rows.starts), dim, states)
    shape = saved_shape("cpu", u.shape, A, states, cu_seqlens)
    saved = state.new_empty(shape if keep else (0, *shape[1:]))
    y = (torch.empty if lengths is None else torch.zeros)(batch * length, dim)
    outputs = [x.numpy() for x in (y, state, saved)]
    share_strips(
        lambda row, part, *strips: loops.forward(row, *strips, inputs, *outputs, keep),
        state.shape[1:3],
        work=3 * length * state.shape[3],
    )
    return y.view(u.shape).to(u.dtype), _unpack_planes(state, dim, states), saved


def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    (batch, length, dim), states = u.shape, B.shape[-1]
    tokens = batch * length
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    inputs = _inputs(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    carry = _pack_planes(grad_state, len(rows.starts), dim, states)
    _, count, strips, size, _ = carry.shape
    fresh = torch.zeros if lengths is not None else torch.empty
    parts = count_parts(count, strips)
    skip, bias = (torch.zeros(count, strips * CPU_LANES) for _ in range(2))
    grads = Grads(
        u=fresh(tokens, dim),
        delta=fresh(tokens, dim),
        z=fresh(0 if z is None else tokens, dim),
        A=torch.zeros_like(carry),
        B=fresh(2, parts, tokens, size) if B.ndim == 3 else torch.zeros_like(carry),
        C=fresh(2, parts, tokens, size) if C.ndim == 3 else torch.zeros_like(carry),
        skip=skip,
        bias=bias,
        carry=carry,
    )
    arrays = Grads(*(x.numpy() for x in grads))
    given = saved.numpy(), stream(grad_y).numpy()
    share_strips(
        lambda row, part, *strips: adjoint.backward(row, part, *strips, inputs, *given, arrays),
        (count, strips),
        work=6 * length * size,
    )

    def shared(like: Tensor, grad: Tensor) -> Tensor:
        """Add up over rows or parts; a real matrix takes the real part of its gradient."""
        total = grad.sum(1)
        if like.ndim == 2:
            total = _unpack_planes(total[:, None], dim, states)[0]
        else:
            total = torch.complex(*total[..., :states]).reshape(like.shape)
        return (total if like.is_complex() else total.real).to(like.dtype)

    return (
        grads.u.view(u.shape).to(u.dtype),
        grads.delta.view(delta.shape).to(delta.dtype),
        shared(A, grads.A),
        shared(B, grads.B),
        2 * shared(C, grads.C).conj_physical(),
        None if D_skip is None else skip.sum(0)[:dim].to(D_skip.dtype),
        None if z is None else grads.z.view(z.shape).to(z.dtype),
        None if delta_bias is None else bias.sum(0)[:dim].to(delta_bias.dtype),
        None if initial_state is None else _unpack_planes(carry, dim, states),
    )


def _inputs(rows: Rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus: bool) -> loops.Inputs:
    """Return what the loops read, as flat float32 arrays."""
    dim, states = u.shape[2], B.shape[-1]
    width = round_up(dim, CPU_LANES)

    def planes(matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Return the real and the imaginary part, laid out."""
        matrix = matrix.detach().to(torch.complex64)
        if matrix.ndim == 2:
            return fixed(matrix.real, dim, states), fixed(matrix.imag, dim, states)
        return stream(pad_states(matrix.real, states)), stream(pad_states(matrix.imag, states))

    tensors = (
        *(rows.starts, rows.lengths, rows.chunk_at),
        *(stream(u), stream(delta)),
        fixed(A.detach().real.double() * LOG2E, dim, states),
        fixed(A.detach().imag.double() / (2 * math.pi), dim, states),
        *(*planes(B), *planes(2 * C.conj())),
        channels(D_skip, dim, width),
        stream(u if z is None else z),
        channels(delta_bias, dim, width),
    )
    return loops.Inputs(*(x.numpy() for x in tensors), gated=z is not None, softened=softplus)


def _pack_planes(state: Tensor | None, rows: int, dim: int, states: int) -> Tensor:
    """Return a complex (rows, D, N) as (2, rows, strips, N, 16): real parts, imaginary parts."""
    planes = (None, None) if state is None else (state.real, state.imag)
    return torch.stack([pack(plane, rows, dim, states) for plane in planes])


def _unpack_planes(packed: Tensor, dim: int, states: int) -> Tensor:
    """Return (2, rows, strips, N, 16) as a complex (rows, D, N)."""
    return torch.complex(*(unpack(plane, dim, states) for plane in packed))
