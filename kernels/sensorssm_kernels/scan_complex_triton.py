"""The selective scan with complex rates (S4D) in Triton: oscillating states, step by step.

A program owns BD channels of one row with all their states, a [N, BD] tile of real parts and one
of imaginary parts, and walks time. The forward keeps its state every CHUNK steps; the backward
reruns one chunk at a time, laying its states in a small scratch, and walks it back.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sensorssm_kernels.launch_triton import on_own_device
from sensorssm_kernels.math_triton import round_for, sigmoid
from sensorssm_kernels.scan_complex_tiles_triton import (
    advance_pair,
    decay_pair,
    load_matrix_pair,
    load_pair,
    load_step,
    own_pairs,
    store_pair,
)
from sensorssm_kernels.scan_plan import count_blocks, saved_dtype, saved_shape, triton_chunk
from sensorssm_kernels.scan_rows import locate_rows


@triton.jit
def scan_complex_forward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr,
    starts_ptr, lengths_ptr, chunk_at_ptr, first_ptr, y_ptr, last_ptr, saved_ptr,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    SOFTPLUS: tl.constexpr, FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, KEEP: tl.constexpr,
    CHUNK: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Write y and the last state of BD channels of one row; keep the state every CHUNK steps."""
    row = tl.program_id(1).to(tl.int64)
    start, length = tl.load(starts_ptr + row), tl.load(lengths_ptr + row)
    chunk_at = tl.load(chunk_at_ptr + row)
    d, n, at_state, live_state, rate, spin, skip, bias = own_pairs(
        A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP, HAS_BIAS, DIM, STATES, N, BD
    )
    live = d < DIM
    h, h_imag = tl.zeros([N, BD], tl.float32), tl.zeros([N, BD], tl.float32)
    if HAS_FIRST:
        h, h_imag = load_pair(first_ptr, at_state, live_state)
    for t in range(length):
        if KEEP and t % CHUNK == 0:
            kept = (chunk_at + t // CHUNK) * (2 * STATES * DIM) + n[:, None] * DIM + d[None, :]
            tl.store(saved_ptr + kept, round_for(h, saved_ptr), mask=live_state)
            kept += STATES * DIM
            tl.store(saved_ptr + kept, round_for(h_imag, saved_ptr), mask=live_state)
        token = start + t
        at = token * DIM + d
        step, _ = load_step(delta_ptr, bias, at, live, SOFTPLUS)
        u = tl.load(u_ptr + at, mask=live, other=0.0).to(tl.float32)
        gain, gain_imag = load_matrix_pair(B_ptr, token, d, n, live_state, FIXED_B, STATES)
        read, read_imag = load_matrix_pair(C_ptr, token, d, n, live_state, FIXED_C, STATES)
        cos, sin = decay_pair(step, rate, spin)
        h, h_imag = advance_pair(cos, sin, step * u, gain, gain_imag, h, h_imag)
        out = 2.0 * tl.sum(h * read - h_imag * read_imag, axis=0) + skip * u
        if HAS_Z:
            z = tl.load(z_ptr + at, mask=live, other=0.0).to(tl.float32)
            out = out * z * sigmoid(z)
        tl.store(y_ptr + at, round_for(out, y_ptr), mask=live)
    store_pair(last_ptr, at_state, h, h_imag, live_state)


@triton.jit
def scan_complex_backward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr,
    starts_ptr, lengths_ptr, chunk_at_ptr, saved_ptr, grad_y_ptr, grad_last_ptr, path_ptr,
    grad_u_ptr, grad_delta_ptr, grad_z_ptr, part_A_ptr, part_B_ptr, part_C_ptr, part_skip_ptr,
    part_bias_ptr, grad_first_ptr, tokens,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_LAST: tl.constexpr,
    SOFTPLUS: tl.constexpr, FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, CHUNK: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Write the gradients of BD channels of one row, and this program's parts of shared ones."""
    strip, row = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    start, length = tl.load(starts_ptr + row), tl.load(lengths_ptr + row)
    chunk_at = tl.load(chunk_at_ptr + row)
    d, n, at_state, live_state, rate, spin, skip, bias = own_pairs(
        A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP, HAS_BIAS, DIM, STATES, N, BD
    )
    live = d < DIM
    carry, carry_imag = tl.zeros([N, BD], tl.float32), tl.zeros([N, BD], tl.float32)
    if HAS_LAST:
        carry, carry_imag = load_pair(grad_last_ptr, at_state, live_state)
    total, total_imag = tl.zeros([N, BD], tl.float32), tl.zeros([N, BD], tl.float32)
    total_B, total_B_imag = total, total
    total_C, total_C_imag = total, total
    total_skip, total_bias = tl.zeros([BD], tl.float32), tl.zeros([BD], tl.float32)
    kept = n[:, None] * DIM + d[None, :]
    if not FIXED_B:
        part_B_ptr += strip * tokens * STATES * 2
    if not FIXED_C:
        part_C_ptr += strip * tokens * STATES * 2
    chunks = tl.cdiv(length, CHUNK)
    for k in range(chunks):
        chunk = chunks - 1 - k
        count = tl.minimum(length - chunk * CHUNK, CHUNK)
        from_saved = saved_ptr + (chunk_at + chunk) * (2 * STATES * DIM) + kept
        h = tl.load(from_saved, mask=live_state, other=0.0).to(tl.float32)
        h_imag = tl.load(from_saved + STATES * DIM, mask=live_state, other=0.0).to(tl.float32)
        for i in range(count):
            to_path = path_ptr + (row * CHUNK + i) * (2 * STATES * DIM) + kept
            tl.store(to_path, h, mask=live_state)
            tl.store(to_path + STATES * DIM, h_imag, mask=live_state)
            token = start + chunk * CHUNK + i
            at, at_n = token * DIM + d, token * STATES + n
            step, _ = load_step(delta_ptr, bias, at, live, SOFTPLUS)
            u = tl.load(u_ptr + at, mask=live, other=0.0).to(tl.float32)
            grad = tl.load(grad_y_ptr + at, mask=live, other=0.0).to(tl.float32)
            gain, gain_imag = load_matrix_pair(B_ptr, token, d, n, live_state, FIXED_B, STATES)
            cos, sin = decay_pair(step, rate, spin)
            h, h_imag = advance_pair(cos, sin, step * u, gain, gain_imag, h, h_imag)
            if HAS_Z:
                read, read_imag = load_matrix_pair(C_ptr, token, d, n, live_state, FIXED_C, STATES)
                out = 2.0 * tl.sum(h * read - h_imag * read_imag, axis=0) + skip * u
                z = tl.load(z_ptr + at, mask=live, other=0.0).to(tl.float32)
                half = sigmoid(z)
                grad_z = grad * out * half * (1.0 + z * (1.0 - half))
                tl.store(grad_z_ptr + at, round_for(grad_z, grad_z_ptr), mask=live)
                grad = grad * z * half
            of_C, of_C_imag = 2.0 * h * grad[None, :], -2.0 * h_imag * grad[None, :]
            if FIXED_C:
                total_C += of_C
                total_C_imag += of_C_imag
            else:
                store_pair(
                    part_C_ptr, at_n, tl.sum(of_C, axis=1), tl.sum(of_C_imag, axis=1), n < STATES
                )
        tl.debug_barrier()  # a thread may read states that another laid down
        for j in range(count):
            i = count - 1 - j
            token = start + chunk * CHUNK + i
            at, at_n = token * DIM + d, token * STATES + n
            step, slope_step = load_step(delta_ptr, bias, at, live, SOFTPLUS)
            u = tl.load(u_ptr + at, mask=live, other=0.0).to(tl.float32)
            grad = tl.load(grad_y_ptr + at, mask=live, other=0.0).to(tl.float32)
            if HAS_Z:
                z = tl.load(z_ptr + at, mask=live, other=0.0).to(tl.float32)
                grad = grad * z * sigmoid(z)
            gain, gain_imag = load_matrix_pair(B_ptr, token, d, n, live_state, FIXED_B, STATES)
            read, read_imag = load_matrix_pair(C_ptr, token, d, n, live_state, FIXED_C, STATES)
            adjoint = 2.0 * read * grad[None, :] + carry
            adjoint_imag = carry_imag - 2.0 * read_imag * grad[None, :]
            x = step * u
            of_B, of_B_imag = adjoint * x[None, :], adjoint_imag * x[None, :]
            if FIXED_B:
                total_B += of_B
                total_B_imag += of_B_imag
            else:
                store_pair(
                    part_B_ptr, at_n, tl.sum(of_B, axis=1), tl.sum(of_B_imag, axis=1), n < STATES
                )
            grad_x = tl.sum(adjoint * gain + adjoint_imag * gain_imag, axis=0)
            cos, sin = decay_pair(step, rate, spin)
            carry = cos * adjoint + sin * adjoint_imag
            carry_imag = cos * adjoint_imag - sin * adjoint
            from_path = path_ptr + (row * CHUNK + i) * (2 * STATES * DIM) + kept
            before = tl.load(from_path, mask=live_state, other=0.0)
            before_imag = tl.load(from_path + STATES * DIM, mask=live_state, other=0.0)
            slope = carry * before + carry_imag * before_imag
            slope_imag = carry_imag * before - carry * before_imag
            total += slope * step[None, :]
            total_imag += slope_imag * step[None, :]
            pull = tl.sum(slope * rate + slope_imag * spin, axis=0) + grad_x * u
            grad_delta = pull * slope_step
            grad_u = grad_x * step + grad * skip
            tl.store(grad_delta_ptr + at, round_for(grad_delta, grad_delta_ptr), mask=live)
            tl.store(grad_u_ptr + at, round_for(grad_u, grad_u_ptr), mask=live)
            total_skip += grad * u
            total_bias += grad_delta
        tl.debug_barrier()  # the next chunk's states overwrite this one's
    store_pair(grad_first_ptr, at_state, carry, carry_imag, live_state)
    store_pair(part_A_ptr, at_state, total, total_imag, live_state)
    if FIXED_B:
        store_pair(part_B_ptr, at_state, total_B, total_B_imag, live_state)
    if FIXED_C:
        store_pair(part_C_ptr, at_state, total_C, total_C_imag, live_state)
    tl.store(part_skip_ptr + row * DIM + d, total_skip, mask=live)
    tl.store(part_bias_ptr + row * DIM + d, total_bias, mask=live)


@on_own_device
def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    states, rows = B.shape[-1], locate_rows(u, triton_chunk(B.shape[-1]), lengths, cu_seqlens)
    inputs, flags, grid = _launch(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    y = u.new_zeros(u.shape) if lengths is not None else u.new_empty(u.shape)
    shape = saved_shape("triton", u.shape, A, states, cu_seqlens)
    saved = u.new_empty(shape if keep else (0, *shape[1:]), dtype=saved_dtype("triton", u.dtype))
    state = _new_state(u, len(rows.starts), states)
    if grid[0] * grid[1]:
        scan_complex_forward_kernel[grid](
            *inputs, state if initial_state is None else _planes(initial_state), y, state, saved,
            HAS_SKIP=D_skip is not None, HAS_FIRST=initial_state is not None, KEEP=keep, **flags,
        )  # fmt: skip
    return y, torch.view_as_complex(state), saved


@on_own_device
def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    (batch, length, dim), states = u.shape, B.shape[-1]
    chunk, tokens = triton_chunk(states), batch * length
    rows = locate_rows(u, chunk, lengths, cu_seqlens)
    inputs, flags, grid = _launch(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    count, exact = len(rows.starts), {"dtype": torch.float32, "device": u.device}
    fresh = torch.zeros if lengths is not None else torch.empty
    grad_u, grad_delta, grad_z = (
        fresh(x.shape, dtype=x.dtype, device=u.device) for x in (u, delta, u if z is None else z)
    )
    parts = [
        # By row when fixed in time, else by strip of channels.
        fresh(count, *x.shape, 2, **exact) if x.ndim == 2 else fresh(grid[0], *x.shape, 2, **exact)
        for x in (B, C)
    ]
    each_channel = [torch.empty(count, dim, **exact) for _ in range(2)]
    part_A, grad_first = (_new_state(u, count, states) for _ in range(2))
    if grid[0] * grid[1]:
        scan_complex_backward_kernel[grid](
            *inputs, saved, grad_y.contiguous(),
            part_A if grad_state is None else _planes(grad_state),
            torch.empty(count, chunk, 2 * states, dim, **exact), grad_u, grad_delta, grad_z,
            part_A, *parts, *each_channel, grad_first, tokens, HAS_SKIP=D_skip is not None,
            HAS_LAST=grad_state is not None, **flags,
        )  # fmt: skip
    grad_B, grad_C = (torch.view_as_complex(part.sum(0)) for part in parts)
    return (
        grad_u, grad_delta, torch.view_as_complex(part_A.sum(0)),
        (grad_B if B.is_complex() else grad_B.real).to(B.dtype),
        (grad_C if C.is_complex() else grad_C.real).to(C.dtype),
        None if D_skip is None else each_channel[0].sum(0).to(D_skip.dtype),
        None if z is None else grad_z,
        None if delta_bias is None else each_channel[1].sum(0).to(delta_bias.dtype),
        None if initial_state is None else torch.view_as_complex(grad_first),
    )  # fmt: skip


def _launch(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus: bool):
    """Return the arguments both kernels begin with, their flags and the grid."""
    dim, states = u.shape[2], B.shape[-1]
    padded = 1 << (states - 1).bit_length()
    block = min(1 << (dim - 1).bit_length(), max(4, 512 // padded)) if dim else 1
    u, delta = u.contiguous(), delta.contiguous()
    others = [u if x is None else x.contiguous() for x in (D_skip, z, delta_bias)]
    inputs = (u, delta, *map(_planes, (A, B, C)), *others)
    flags = {
        "HAS_Z": z is not None, "HAS_BIAS": delta_bias is not None, "SOFTPLUS": softplus,
        "FIXED_B": B.ndim == 2, "FIXED_C": C.ndim == 2,
        "CHUNK": triton_chunk(states), "DIM": dim, "STATES": states, "N": padded, "BD": block,
    }  # fmt: skip
    places = rows.starts.contiguous(), rows.lengths.contiguous(), rows.chunk_at.contiguous()
    return (*inputs, *places), flags, (count_blocks(dim, block), len(rows.starts))


def _planes(x: Tensor) -> Tensor:
    """Return a tensor as complex64 with its parts side by side in a last axis."""
    return torch.view_as_real(x.to(torch.complex64).resolve_conj().contiguous())


def _new_state(u: Tensor, rows: int, states: int) -> Tensor:
    return torch.empty(rows, u.shape[2], states, 2, dtype=torch.float32, device=u.device)
