"""The backward of the scan in Triton: blocks rerun from their kept states, walked in reverse."""

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
    walk,
    widen,
)
from sensorssm_kernels.scan_tiles_triton import (
    decays,
    load,
    load_matrix,
    locate,
    own_channels,
)


@triton.jit
def _walk_back(decay, path, first, read, grad, carry, t, T: tl.constexpr):
    """Return the carry into the block before, the adjoints and the gradients of log2 decay's rows.

    Row by row in reverse: p = C g + carry, then carry = a p; its product with the state before is
    the gradient of log a.
    """
    adjoint, pull = decay, decay
    for i in tl.static_range(T):
        read_i = row_of(tl.broadcast_to(read, decay.shape), t, T - 1 - i)
        grad_i = row_of(tl.broadcast_to(grad[:, None, None, :], decay.shape), t, T - 1 - i)
        now = hold(tl.fma(read_i, grad_i, carry))
        carry = row_of(decay, t, T - 1 - i) * now
        before = first
        if i < T - 1:
            before = row_of(path, t, T - 2 - i)
        adjoint = put_row(adjoint, now, t, T - 1 - i)
        pull = put_row(pull, carry * before, t, T - 1 - i)
    return carry, adjoint, pull


@triton.jit
def store_part(ptr, sums, n, left, STATES: tl.constexpr, BD: tl.constexpr, T: tl.constexpr):
    """Store sums over channels, [rows, NR, NL, BD] spread over lanes, as [T, STATES]."""
    rows = tl.arange(0, sums.shape[0])[:, None, None, None] * BD
    rows += tl.arange(0, BD)[None, None, None, :]
    live = (rows < left) & (rows < T) & (n < STATES)[None, :, :, None]
    tl.store(ptr + rows * STATES + n[None, :, :, None], round_for(sums, ptr), mask=live)


@triton.jit
def _backward_block(
    u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
    grad_u_ptr, grad_delta_ptr, grad_z_ptr, part_B_ptr, part_C_ptr,
    carry, sums, rates, skip, bias, d, n, t, left,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr, SHARED: tl.constexpr,
    FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Rerun one block from its kept state, walk it backwards; return the carry and the sums.

    `sums` are the gradients so far of what does not change in time: A, D_skip, bias, B and C.
    """
    grad_A, grad_skip, grad_bias, grad_B, grad_C = sums
    MASKED: tl.constexpr = RAGGED_END or DIM % BD != 0
    live = (t < left)[:, None] & (d < DIM)[None, :]
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    wide = t[:, None] * DIM + d[None, :]
    u = widen(load(u_ptr + wide, live, MASKED))
    raw = widen(load(delta_ptr + wide, live, MASKED)) + bias[None, :]
    grad = widen(load(grad_y_ptr + wide, live, MASKED))
    gain = load_matrix(B_ptr, d, n, t, left, FIXED_B, RAGGED_END, DIM, STATES, N)
    read = load_matrix(C_ptr, d, n, t, left, FIXED_C, RAGGED_END, DIM, STATES, N)
    kept = d[None, None, :] * STATES + n[:, :, None]
    h = load(saved_ptr + kept, live_state, DIM % BD != 0 or STATES != N).to(tl.float32)
    step = raw
    if SOFTPLUS:
        step, e = softplus(raw)
    if RAGGED_END:
        step = tl.where(live, step, 0.0)
    step = hold(step)
    x = hold(step * u)
    decay = decays(step, rates, SHARED, N // NL, NL)
    path, _ = walk(decay, x[:, None, None, :] * gain, h, t, T, False)
    if HAS_Z:
        gate = widen(load(z_ptr + wide, live, MASKED))
        half = sigmoid(gate)
        y = hold(sum_states(path * read))
        if HAS_SKIP:
            y += u * skip[None, :]
        grad_z = round_for(grad * y * half * (1.0 + gate * (1.0 - half)), grad_z_ptr)
        tl.store(grad_z_ptr + wide, grad_z, mask=live)
        grad = hold(grad * gate * half)
    if HAS_SKIP:
        grad_skip += grad * u
    carry, adjoint, pull = _walk_back(decay, path, h, read, grad, carry, t, T)
    if SHARED:
        through_decay = hold(sum_states(pull))
        grad_A += through_decay * step
        through_decay = through_decay * tl.reshape(rates, [1, BD]) * LN2
    else:
        through_decay = hold(sum_states(pull * rates[None, :, :, :])) * LN2
        grad_A += tl.sum(pull * step[:, None, None, :], axis=0)
    through_drive = hold(sum_states(adjoint * gain))
    grad_delta = through_decay + through_drive * u
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
    of_B, of_C = adjoint * x[:, None, None, :], path * grad[:, None, None, :]
    if FIXED_B:
        grad_B += tl.sum(of_B, axis=0)
    else:
        store_part(part_B_ptr, sum_channels(of_B), n, left, STATES, BD, T)
    if FIXED_C:
        grad_C += tl.sum(of_C, axis=0)
    else:
        store_part(part_C_ptr, sum_channels(of_C), n, left, STATES, BD, T)
    return carry, (grad_A, grad_skip, grad_bias, grad_B, grad_C)


@triton.jit(do_not_specialize=["length", "segments", "steps", "tokens"])
def scan_backward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, saved_ptr, grad_y_ptr, grad_last_ptr, grad_u_ptr, grad_delta_ptr, grad_z_ptr,
    grad_first_ptr, parts_ptr, rows_ptr, length, segments, steps, tokens,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    HAS_LAST: tl.constexpr, SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, SHARED: tl.constexpr,
    FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write the gradients of BD channels of one row; those shared by rows or channels in parts.

    Each program writes its own part of the gradients of B and C to `parts_ptr`, (2, strips, tokens,
    STATES), and of what does not change in time to `rows_ptr`, (rows, A's size + 2 DIM + those of a
    fixed B and C): sums without atomics, the same in every run.
    """
    row, start, length, chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, segments, steps, RAGGED, T
    )
    d, n, state_at, live_state, rates, skip, bias = own_channels(
        A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP, HAS_BIAS, SHARED, DIM, STATES, N, NL, BD
    )
    t = tl.arange(0, T)
    carry = tl.zeros([N // NL, NL, BD], tl.float32)
    if HAS_LAST:
        carry = tl.load(grad_last_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    none = tl.zeros([N // NL, NL, BD], tl.float32)
    grad_A = none
    if SHARED:
        grad_A = tl.zeros([T, BD], tl.float32)
    sums = (grad_A, tl.zeros([T, BD], tl.float32), tl.zeros([T, BD], tl.float32), none, none)
    full = length // T
    at = (start + full * T) * DIM
    at_bc = (start + full * T) * STATES
    STRIDE_B: tl.constexpr = 0 if FIXED_B else STATES
    STRIDE_C: tl.constexpr = 0 if FIXED_C else STATES
    u_ptr += at
    delta_ptr += at
    z_ptr += at
    grad_y_ptr += at
    grad_u_ptr += at
    grad_delta_ptr += at
    grad_z_ptr += at
    B_ptr += (start + full * T) * STRIDE_B
    C_ptr += (start + full * T) * STRIDE_C
    size = tl.cast(tokens, tl.int64) * STATES
    part_B_ptr = parts_ptr + tl.program_id(0) * size + at_bc
    part_C_ptr = part_B_ptr + tl.num_programs(0) * size
    saved_ptr += (chunk_at + full) * STATES * DIM
    if full * T < length:
        carry, sums = _backward_block(
            u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
            grad_u_ptr, grad_delta_ptr, grad_z_ptr, part_B_ptr, part_C_ptr,
            carry, sums, rates, skip, bias, d, n, t, length - full * T,
            HAS_SKIP, HAS_Z, SOFTPLUS, SHARED, FIXED_B, FIXED_C, True, DIM, STATES, N, NL, BD, T,
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
        saved_ptr -= STATES * DIM
        carry, sums = _backward_block(
            u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
            grad_u_ptr, grad_delta_ptr, grad_z_ptr, part_B_ptr, part_C_ptr,
            carry, sums, rates, skip, bias, d, n, t, T,
            HAS_SKIP, HAS_Z, SOFTPLUS, SHARED, FIXED_B, FIXED_C, False, DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
    grad_A, grad_skip, grad_bias, grad_B, grad_C = sums
    SIZE: tl.constexpr = DIM * STATES
    SIZE_A: tl.constexpr = DIM if SHARED else SIZE
    SIZE_B: tl.constexpr = SIZE if FIXED_B else 0
    SIZE_C: tl.constexpr = SIZE if FIXED_C else 0
    rows_ptr += row * (SIZE_A + 2 * DIM + SIZE_B + SIZE_C)
    in_matrix = d[None, None, :] * STATES + n[:, :, None]
    if SHARED:
        tl.store(rows_ptr + d, tl.sum(grad_A, axis=0), mask=d < DIM)
    else:
        tl.store(rows_ptr + in_matrix, hold(grad_A), mask=live_state)
    rows_ptr += SIZE_A
    tl.store(rows_ptr + d, tl.sum(grad_skip, axis=0), mask=d < DIM)
    tl.store(rows_ptr + DIM + d, tl.sum(grad_bias, axis=0), mask=d < DIM)
    rows_ptr += 2 * DIM
    if FIXED_B:
        tl.store(rows_ptr + in_matrix, hold(grad_B), mask=live_state)
    if FIXED_C:
        tl.store(rows_ptr + SIZE_B + in_matrix, hold(grad_C), mask=live_state)
    if HAS_FIRST:
        tl.store(grad_first_ptr + state_at, hold(carry), mask=live_state)


@triton.jit(do_not_specialize=["length", "segments", "steps"])
def scan_carry_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, grad_y_ptr, carry_ptr, length, segments, steps,
    HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, SOFTPLUS: tl.constexpr, SHARED: tl.constexpr,
    FIXED_C: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write the gradient that one segment sends to the state before it, with none coming in."""
    row, start, length, _chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, segments, steps, False, T
    )
    d, n, state_at, live_state, rates, _skip, bias = own_channels(
        A_ptr, skip_ptr, bias_ptr, row, False, HAS_BIAS, SHARED, DIM, STATES, N, NL, BD
    )
    t = tl.arange(0, T)
    carry = tl.zeros([N // NL, NL, BD], tl.float32)
    blocks = tl.cdiv(length, T)
    for k in tl.range(0, blocks, num_stages=STAGES):
        t0 = (blocks - 1 - k) * T
        live = (t0 + t < length)[:, None] & (d < DIM)[None, :]
        at = (start + t0 + t)[:, None] * DIM + d[None, :]
        step = widen(tl.load(delta_ptr + at, mask=live, other=0.0)) + bias[None, :]
        if SOFTPLUS:
            step, _ = softplus(step)
        step = hold(tl.where(live, step, 0.0))
        grad = widen(tl.load(grad_y_ptr + at, mask=live, other=0.0))
        if HAS_Z:
            gate = widen(tl.load(z_ptr + at, mask=live, other=0.0))
            grad = grad * gate * sigmoid(gate)
        grad = hold(grad)
        at_C = 0 if FIXED_C else (start + t0) * STATES
        read = load_matrix(C_ptr + at_C, d, n, t, length - t0, FIXED_C, True, DIM, STATES, N)
        decay = decays(step, rates, SHARED, N // NL, NL)
        direct = read * grad[:, None, None, :]
        for i in tl.static_range(T):
            now = hold(row_of(direct, t, T - 1 - i) + carry)
            carry = row_of(decay, t, T - 1 - i) * now
    tl.store(carry_ptr + state_at, hold(carry), mask=live_state)
