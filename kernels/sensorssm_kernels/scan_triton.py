"""Launchers of the Triton scan: grid, tiles, and the sums over the parts of a gradient."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import torch
import triton
from torch import Tensor

from sensorssm_kernels.scan_plan import saved_shape, triton_chunk
from sensorssm_kernels.scan_rows import Rows, locate_rows
from sensorssm_kernels.scan_triton_kernels import scan_backward_kernel, scan_forward_kernel


def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    batch, length, dim = u.shape
    states, chunk = B.shape[2], triton_chunk(B.shape[2])
    ragged = lengths is not None or cu_seqlens is not None
    rows = locate_rows(u, chunk, lengths, cu_seqlens) if ragged else None
    count = len(rows.starts) if rows else batch
    y = u.new_zeros(u.shape) if lengths is not None else u.new_empty(u.shape)
    state = u.new_empty(count, dim, states, dtype=torch.float32)
    shape = saved_shape("triton", u.shape, A, states, cu_seqlens)
    saved = u.new_empty(shape if keep else (0, *shape[1:]), dtype=torch.float32)
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state = _contiguous(
        u, delta, A, B, C, D_skip, z, delta_bias, initial_state
    )
    tile = _forward_tile(count * dim, states)
    grid = (triton.cdiv(dim, tile["BD"]), count)
    if count and dim:
        scan_forward_kernel[grid](
            u, delta, A, B, C, _or(D_skip, A), _or(z, u), _or(delta_bias, A), *_places(rows, u),
            _or(initial_state, A), y, state, saved, length, dim, states,
            HAS_SKIP=D_skip is not None, HAS_Z=z is not None, HAS_BIAS=delta_bias is not None,
            HAS_FIRST=initial_state is not None, SOFTPLUS=softplus, RAGGED=ragged,
            SHARED=A.ndim == 1, KEEP=keep, ONLY_STATE=False, CHUNK=chunk,
            N=triton.next_power_of_2(states), **tile,
        )  # fmt: skip
    return y, state, saved


def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    batch, length, dim = u.shape
    states, chunk = B.shape[2], triton_chunk(B.shape[2])
    ragged = lengths is not None or cu_seqlens is not None
    rows = locate_rows(u, chunk, lengths, cu_seqlens) if ragged else None
    count = len(rows.starts) if rows else batch
    u, delta, A, B, C, D_skip, z, delta_bias, grad_y, grad_state = _contiguous(
        u, delta, A, B, C, D_skip, z, delta_bias, grad_y, grad_state
    )
    tile = _backward_tile(count * dim, states)
    parts = triton.cdiv(dim, tile["BD"])
    fresh = torch.zeros_like if lengths is not None else torch.empty_like
    grad_u, grad_delta, grad_z = fresh(u), fresh(delta), fresh(u if z is None else z)
    real = {"dtype": torch.float32, "device": u.device}
    part_B = (torch.zeros if lengths is not None else torch.empty)(parts, *B.shape, **real)
    part_C = torch.zeros_like(part_B) if lengths is not None else torch.empty_like(part_B)
    part_A = torch.empty(count, *A.shape, **real)
    part_skip, part_bias = torch.empty(count, dim, **real), torch.empty(count, dim, **real)
    grad_first = torch.empty(count, dim, states, **real)
    if count and dim:
        scan_backward_kernel[parts, count](
            u, delta, A, B, C, _or(D_skip, A), _or(z, u), _or(delta_bias, A), *_places(rows, u),
            saved, grad_y, _or(grad_state, A), grad_u, grad_delta, grad_z, part_A, part_B, part_C,
            part_skip, part_bias, grad_first, length, dim, states, batch * length,
            HAS_SKIP=D_skip is not None, HAS_Z=z is not None, HAS_BIAS=delta_bias is not None,
            HAS_LAST=grad_state is not None, SOFTPLUS=softplus, RAGGED=ragged,
            SHARED=A.ndim == 1, N=triton.next_power_of_2(states), **tile,
        )  # fmt: skip
    return (
        grad_u,
        grad_delta,
        part_A.sum(0).to(A.dtype),
        part_B.sum(0).to(B.dtype),
        part_C.sum(0).to(C.dtype),
        None if D_skip is None else part_skip.sum(0).to(D_skip.dtype),
        None if z is None else grad_z,
        None if delta_bias is None else part_bias.sum(0).to(delta_bias.dtype),
        None if initial_state is None else grad_first.to(initial_state.dtype),
    )


def _forward_tile(channels: int, states: int) -> dict:
    """Return the forward's tile: T * N * BD elements, at most 64 a lane."""
    steps = min(triton_chunk(states), 8)
    return {"BD": 8 if states > 8 else 16, "T": steps, "STAGES": 3, "num_warps": 1}


def _backward_tile(channels: int, states: int) -> dict:
    """Return the backward's tile: T is the chunk; at most 32 elements a lane."""
    return {"BD": 8, "T": triton_chunk(states), "STAGES": 3, "num_warps": 1}


def _contiguous(*tensors: Tensor | None) -> list[Tensor | None]:
    return [None if x is None else x.detach().contiguous() for x in tensors]


def _or(tensor: Tensor | None, stand_in: Tensor) -> Tensor:
    """Return a pointer for an argument that the kernel will not read."""
    return stand_in if tensor is None else tensor


def _places(rows: Rows | None, stand_in: Tensor) -> tuple:
    return (stand_in,) * 3 if rows is None else (rows.starts, rows.lengths, rows.chunk_at)
