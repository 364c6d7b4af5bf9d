"""The backward of the scan with complex rates: blocks rerun from kept states, walked in reverse."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportAssignmentType=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import (
    LN2,
    hold,
    put_row,
    reciprocal,
    round_for,
    row_of,
    sigmoid,
    softplus,
    sum_channels,
    sum_states,
    widen,
)
from sensorssm_kernels.scan_backward_triton import store_part
from sensorssm_kernels.scan_complex_tiles_triton import (
    decay_pair,
    load_moving,
    load_pair,
    load_still,
    own_pairs,
    store_pair,
    walk_pair,
)
from sensorssm_kernels.scan_tiles_triton import load, locate


@triton.jit
def _walk_back(
    cos, sin, path, path_imag, h, h_imag, read, read_imag, grad, step, carry, carry_imag,
    total, total_imag, rate, spin, t, T: tl.constexpr,
):  # fmt: skip
    """Return the carry into the block before, A's gradient so far, the adjoints, and the tile whose
    sum over states is, but for ln 2, the gradient of the steps through the decay.
    """
    adjoint, adjoint_imag, pull = cos, cos, cos
    grad = tl.broadcast_to(grad[:, None, None, :], cos.shape)
    step = tl.broadcast_to(step[:, None, None, :], cos.shape)
    read = tl.broadcast_to(read, cos.shape)
    read_imag = tl.broadcast_to(read_imag, cos.shape)
    for i in tl.static_range(T):
        j = T - 1 - i
        grad_j, step_j = row_of(grad, t, j), row_of(step, t, j)
        now = hold(tl.fma(row_of(read, t, j), grad_j, carry))
        now_imag = hold(tl.fma(row_of(read_imag, t, j), -grad_j, carry_imag))
        a, b = row_of(cos, t, j), row_of(sin, t, j)
        carry = hold(a * now + b * now_imag)
        carry_imag = hold(a * now_imag - b * now)
        before, before_imag = h, h_imag
        if i < T - 1:
            before, before_imag = row_of(path, t, j - 1), row_of(path_imag, t, j - 1)
        slope = carry * before + carry_imag * before_imag
        slope_imag = carry_imag * before - carry * before_imag
        total += slope * step_j
        total_imag += slope_imag * step_j
        adjoint, adjoint_imag = put_row(adjoint, now, t, j), put_row(adjoint_imag, now_imag, t, j)
        pull = put_row(pull, slope * rate + slope_imag * spin, t, j)
    return carry, carry_imag, total, total_imag, adjoint, adjoint_imag, pull


@triton.jit
def _backward_block(
    u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
    grad_u_ptr, grad_delta_ptr, grad_z_ptr, part_B_ptr, part_C_ptr, plane, still_B, still_C,
    carry, carry_imag, sums, rate, spin, skip, bias, d, n, t, left,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr,
    FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Rerun one block from its kept state, walk it backwards; return the carry and the sums.

    `sums` are the gradients so far of what does not change in time: D_skip and bias, and both parts
    of A, B and C.
    """
    grad_skip, grad_bias, total, total_imag, sum_B, sum_B_imag, sum_C, sum_C_imag = sums
    MASKED: tl.constexpr = RAGGED_END or DIM % BD != 0
    live = (t < left)[:, None] & (d < DIM)[None, :]
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    wide = t[:, None] * DIM + d[None, :]
    u = widen(load(u_ptr + wide, live, MASKED))
    raw = widen(load(delta_ptr + wide, live, MASKED)) + bias[None, :]
    grad = widen(load(grad_y_ptr + wide, live, MASKED))
    gain, gain_imag = load_moving(
        B_ptr, plane, still_B, d, n, t, left, FIXED_B, RAGGED_END, DIM, STATES, N
    )
    read, read_imag = load_moving(
        C_ptr, plane, still_C, d, n, t, left, FIXED_C, RAGGED_END, DIM, STATES, N
    )
    kept = saved_ptr + d[None, None, :] * STATES + n[:, :, None]
    FEW: tl.constexpr = DIM % BD != 0 or STATES != N
    h = load(kept, live_state, FEW).to(tl.float32)
    h_imag = load(kept + DIM * STATES, live_state, FEW).to(tl.float32)
    step = raw
    if SOFTPLUS:
        step, e = softplus(raw)
    if RAGGED_END:
        step = tl.where(live, step, 0.0)
    step = hold(step)
    x = hold(step * u)
    drive = x[:, None, None, :]
    cos, sin = decay_pair(step, rate, spin)
    path, path_imag, _, _ = walk_pair(cos, sin, drive * gain, drive * gain_imag, h, h_imag, t, T)
    if HAS_Z:
        gate = widen(load(z_ptr + wide, live, MASKED))
        half = sigmoid(gate)
        y = hold(2.0 * sum_states(path * read - path_imag * read_imag))
        if HAS_SKIP:
            y += u * skip[None, :]
        grad_z = round_for(grad * y * half * (1.0 + gate * (1.0 - half)), grad_z_ptr)
        tl.store(grad_z_ptr + wide, grad_z, mask=live)
        grad = hold(grad * gate * half)
    if HAS_SKIP:
        grad_skip += grad * u
    twice = hold(grad + grad)  # of a pair of conjugates
    of_C = path * twice[:, None, None, :]
    of_C_imag = path_imag * -twice[:, None, None, :]
    if FIXED_C:
        sum_C += tl.sum(of_C, axis=0)
        sum_C_imag += tl.sum(of_C_imag, axis=0)
    else:
        store_part(part_C_ptr, sum_channels(of_C), n, left, STATES, BD, T)
        store_part(part_C_ptr + plane, sum_channels(of_C_imag), n, left, STATES, BD, T)
    carry, carry_imag, total, total_imag, adjoint, adjoint_imag, pull = _walk_back(
        cos, sin, path, path_imag, h, h_imag, read, read_imag, twice, step, carry, carry_imag,
        total, total_imag, rate, spin, t, T,
    )  # fmt: skip
    through_drive = hold(sum_states(adjoint * gain + adjoint_imag * gain_imag))
    grad_delta = hold(sum_states(pull)) * LN2 + through_drive * u
    if SOFTPLUS:
        grad_delta = grad_delta * (tl.where(raw > 0, 1.0, e) * reciprocal(1.0 + e))
    if RAGGED_END:
        grad_delta = tl.where(live, grad_delta, 0.0)
    grad_bias += grad_delta
    grad_u = through_drive * step
    if HAS_SKIP:
        grad_u += grad * skip[None, :]
    tl.store(grad_delta_ptr + wide, round_for(grad_delta, grad_delta_ptr), mask=live)
    tl.store(grad_u_ptr + wide, round_for(grad_u, grad_u_ptr), mask=live)
    of_B, of_B_imag = adjoint * drive, adjoint_imag * drive
    if FIXED_B:
        sum_B += tl.sum(of_B, axis=0)
        sum_B_imag += tl.sum(of_B_imag, axis=0)
    else:
        store_part(part_B_ptr, sum_channels(of_B), n, left, STATES, BD, T)
        store_part(part_B_ptr + plane, sum_channels(of_B_imag), n, left, STATES, BD, T)
    sums = (grad_skip, grad_bias, total, total_imag, sum_B, sum_B_imag, sum_C, sum_C_imag)
    return carry, carry_imag, sums


@triton.jit(do_not_specialize=["length", "tokens"])
def scan_complex_backward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, saved_ptr, grad_y_ptr, grad_last_ptr, grad_u_ptr, grad_delta_ptr, grad_z_ptr,
    grad_first_ptr, parts_ptr, rows_ptr, length, tokens,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_LAST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, FIXED_B: tl.constexpr, FIXED_C: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write the gradients of BD channels of one row; those shared by rows or channels in parts.

    Each program writes its own part of the gradients of B and C to `parts_ptr`, (2, strips, 2,
    tokens, STATES), and of what does not change in time to `rows_ptr`, (rows, width): A's pairs,
    D_skip's and bias's, and the planes of a fixed B and C.
    """
    row, start, length, chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, 1, length, RAGGED, T
    )
    d, n, at_state, live_state, rate, spin, skip, bias = own_pairs(
        A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP, HAS_BIAS, DIM, STATES, N, NL, BD
    )
    t = tl.arange(0, T)
    none = tl.zeros([N // NL, NL, BD], tl.float32)
    carry, carry_imag = none, none
    if HAS_LAST:
        carry, carry_imag = load_pair(grad_last_ptr, at_state, live_state)
    nothing = tl.zeros([T, BD], tl.float32)
    sums = (nothing, nothing, none, none, none, none, none, none)
    full = length // T
    end = start + full * T
    SIZE: tl.constexpr = DIM * STATES
    STRIDE_B: tl.constexpr = 0 if FIXED_B else STATES
    STRIDE_C: tl.constexpr = 0 if FIXED_C else STATES
    u_ptr += end * DIM
    delta_ptr += end * DIM
    z_ptr += end * DIM
    grad_y_ptr += end * DIM
    grad_u_ptr += end * DIM
    grad_delta_ptr += end * DIM
    grad_z_ptr += end * DIM
    B_ptr += end * STRIDE_B
    C_ptr += end * STRIDE_C
    plane = tl.cast(tokens, tl.int64) * STATES
    still_B = load_still(B_ptr, d, n, FIXED_B, DIM, STATES)
    still_C = load_still(C_ptr, d, n, FIXED_C, DIM, STATES)
    part_B_ptr = parts_ptr + tl.program_id(0) * 2 * plane + end * STATES
    part_C_ptr = part_B_ptr + tl.num_programs(0) * 2 * plane
    saved_ptr += (chunk_at + full) * (2 * SIZE)
    if full * T < length:
        carry, carry_imag, sums = _backward_block(
            u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
            grad_u_ptr, grad_delta_ptr, grad_z_ptr, part_B_ptr, part_C_ptr, plane, still_B, still_C,
            carry, carry_imag, sums, rate, spin, skip, bias, d, n, t, length - full * T,
            HAS_SKIP, HAS_Z, SOFTPLUS, FIXED_B, FIXED_C, True, DIM, STATES, N, BD, T,
        )  # fmt: skip
    for _ in tl.range(0, full, num_stages=STAGES):
        u_ptr -= T * DIM
        delta_ptr -= T * DIM
        z_ptr -= T * DIM
        grad_y_ptr -= T * DIM
        grad_u_ptr -= T * DIM
        grad_delta_ptr -= T * DIM
        grad_z_ptr -= T * DIM
        B_ptr -= T * STRIDE_B
        C_ptr -= T * STRIDE_C
        part_B_ptr -= T * STATES
        part_C_ptr -= T * STATES
        saved_ptr -= 2 * SIZE
        carry, carry_imag, sums = _backward_block(
            u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
            grad_u_ptr, grad_delta_ptr, grad_z_ptr, part_B_ptr, part_C_ptr, plane, still_B, still_C,
            carry, carry_imag, sums, rate, spin, skip, bias, d, n, t, T,
            HAS_SKIP, HAS_Z, SOFTPLUS, FIXED_B, FIXED_C, False, DIM, STATES, N, BD, T,
        )  # fmt: skip
    grad_skip, grad_bias, total, total_imag, sum_B, sum_B_imag, sum_C, sum_C_imag = sums
    store_pair(grad_first_ptr, at_state, carry, carry_imag, live_state)
    FIXED: tl.constexpr = (2 * SIZE if FIXED_B else 0) + (2 * SIZE if FIXED_C else 0)
    own = d[None, None, :] * STATES + n[:, :, None]
    rows_ptr += row * (2 * SIZE + 2 * DIM + FIXED)
    store_pair(rows_ptr, own, total, total_imag, live_state)
    tl.store(rows_ptr + 2 * SIZE + d, tl.sum(grad_skip, axis=0), mask=d < DIM)
    tl.store(rows_ptr + 2 * SIZE + DIM + d, tl.sum(grad_bias, axis=0), mask=d < DIM)
    rows_ptr += 2 * SIZE + 2 * DIM
    if FIXED_B:
        tl.store(rows_ptr + own, sum_B, mask=live_state)
        tl.store(rows_ptr + SIZE + own, sum_B_imag, mask=live_state)
        rows_ptr += 2 * SIZE
    if FIXED_C:
        tl.store(rows_ptr + own, sum_C, mask=live_state)
        tl.store(rows_ptr + SIZE + own, sum_C_imag, mask=live_state)
