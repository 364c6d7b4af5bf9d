"""The Triton kernels of the selective scan: one program owns some channels of one row.

A program walks time in blocks of T steps; a block is a [T, NR, NL, BD] tile: state n = nl NR + nr.
Triton lays the last axes over the 32 lanes of a warp (BD channels by NL states) and the first into
registers, so the scan over time is T multiply-adds per state with no exchange between lanes, and a
lane's NR states are neighbours in memory. B and C are read once per BD channels. Sizes that a model
fixes (DIM, STATES) are compiled in, so that addresses are a base and constants; lengths are not.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import (
    LN2,
    LOG2E,
    put_row,
    reciprocal,
    round_for,
    row_of,
    sigmoid,
    softplus,
    sum_channels,
    sum_states,
    walk,
)


@triton.jit
def _load(ptr, live, MASKED: tl.constexpr):
    if MASKED:
        return tl.load(ptr, mask=live, other=0.0)
    else:
        return tl.load(ptr)


@triton.jit
def _load_rates(A_ptr, d, n, live, SHARED: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr):
    """Return the rates as [NR, NL, BD], times log2(e); [1, 1, BD] when all states share one."""
    if SHARED:
        rates = tl.load(A_ptr + d, mask=d < DIM, other=0.0)[None, None, :]
    else:
        rates = tl.load(A_ptr + d[None, None, :] * STATES + n[:, :, None], mask=live, other=0.0)
    return rates.to(tl.float32) * LOG2E


@triton.jit
def _load_channels(ptr, d, HAS: tl.constexpr, DIM: tl.constexpr):
    if HAS:
        return tl.load(ptr + d, mask=d < DIM, other=0.0).to(tl.float32)
    else:
        return tl.zeros(d.shape, tl.float32)


@triton.jit
def _prepare(
    u_ptr, delta_ptr, z_ptr, skip, bias, d, t, left,
    HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr, ONLY_STATE: tl.constexpr,
    RAGGED_END: tl.constexpr, DIM: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return what a block needs of u, delta and z: step, step times u, the skip, the gate."""
    MASKED: tl.constexpr = RAGGED_END or DIM % BD != 0
    live = (t < left)[:, None] & (d < DIM)[None, :]
    at = t[:, None] * DIM + d[None, :]
    u = _load(u_ptr + at, live, MASKED).to(tl.float32)
    step = _load(delta_ptr + at, live, MASKED).to(tl.float32) + bias[None, :]
    if SOFTPLUS:
        step, _ = softplus(step)
    if RAGGED_END:
        step = tl.where(live, step, 0.0)
    gate = u
    if HAS_Z and not ONLY_STATE:
        gate = _load(z_ptr + at, live, MASKED).to(tl.float32)
        gate = gate * sigmoid(gate)
    around = u * skip[None, :]
    return step[:, None, None, :], (step * u)[:, None, None, :], around, gate


@triton.jit
def _load_matrix(ptr, n, t, left, RAGGED_END: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr):
    """Return B or C of one block as [T, NR, NL]."""
    live = (t < left)[:, None, None] & (n < STATES)[None, :, :]
    at = t[:, None, None] * STATES + n[None, :, :]
    return _load(ptr + at, live, RAGGED_END or STATES != N).to(tl.float32)


@triton.jit
def _forward_block(
    step, x, around, gate, gain, read, y_ptr, saved_ptr, h, rates, d, n, t, left,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, SHARED: tl.constexpr,
    KEEP: tl.constexpr, ONLY_STATE: tl.constexpr, CHUNK: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Run one prepared block, of which `left` steps exist; return the state after it."""
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    kept = n[:, :, None] * DIM + d[None, None, :]
    decay = tl.exp2(step * rates[None, :, :, :])
    if SHARED:
        decay = tl.broadcast_to(decay, [T, N // NL, NL, BD])
    if KEEP:
        tl.store(saved_ptr + kept, round_for(h, saved_ptr), mask=live_state)
    path, h = walk(decay, x * gain[:, :, :, None], h, t, T)
    if KEEP:
        for i in tl.static_range(CHUNK, T, CHUNK):
            at = saved_ptr + (i // CHUNK) * STATES * DIM + kept
            exists = tl.full([1, 1, 1], i, tl.int32) < left
            tl.store(at, round_for(row_of(path, t, i - 1), saved_ptr), mask=live_state & exists)
    if not ONLY_STATE:
        y = sum_states(path * read[:, :, :, None])
        if HAS_SKIP:
            y += around
        if HAS_Z:
            y = y * gate
        live = (t < left)[:, None] & (d < DIM)[None, :]
        at = t[:, None] * DIM + d[None, :]
        if RAGGED_END or DIM % BD != 0:
            tl.store(y_ptr + at, round_for(y, y_ptr), mask=live)
        else:
            tl.store(y_ptr + at, round_for(y, y_ptr))
    return h


@triton.jit(do_not_specialize=["length"])
def scan_forward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr,
    starts_ptr, lengths_ptr, chunk_at_ptr, first_ptr, y_ptr, last_ptr, saved_ptr, sums_ptr, length,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, SHARED: tl.constexpr, KEEP: tl.constexpr,
    ONLY_STATE: tl.constexpr, CHUNK: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
    CARRY: tl.constexpr,
):  # fmt: skip
    """Write y and the last state of BD channels of one row; keep the state every CHUNK steps.

    T is CHUNK or a multiple of it. With CARRY, B and C are loaded and widened one block ahead.
    With ONLY_STATE there is no y: just the last state, and the sum of the steps in `sums_ptr`.
    """
    row = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = tl.arange(0, N // NL)[:, None] + tl.arange(0, NL)[None, :] * (N // NL)
    t = tl.arange(0, T)
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    start = row * length
    chunk_at = row * tl.cdiv(length, CHUNK)
    if RAGGED:
        start = tl.load(starts_ptr + row)
        chunk_at = tl.load(chunk_at_ptr + row)
        length = tl.load(lengths_ptr + row).to(tl.int32)
    rates = _load_rates(A_ptr, d, n, live_state, SHARED, DIM, STATES)
    skip = _load_channels(skip_ptr, d, HAS_SKIP, DIM)
    bias = _load_channels(bias_ptr, d, HAS_BIAS, DIM)
    state_at = (row * DIM + d[None, None, :]) * STATES + n[:, :, None]
    h = tl.zeros([N // NL, NL, BD], tl.float32)
    if HAS_FIRST:
        h = tl.load(first_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    u_ptr += start * DIM
    delta_ptr += start * DIM
    z_ptr += start * DIM
    y_ptr += start * DIM
    B_ptr += start * STATES
    C_ptr += start * STATES
    saved_ptr += chunk_at * STATES * DIM
    total = tl.zeros([T, 1, 1, BD], tl.float32)
    full = length // T
    if CARRY:
        gain = _load_matrix(B_ptr, n, t, length, True, STATES, N)
        read = _load_matrix(C_ptr, n, t, length, True, STATES, N)
    for k in tl.range(0, full, num_stages=STAGES):
        at = tl.cast(k, tl.int64) * T * DIM
        step, x, around, gate = _prepare(
            u_ptr + at, delta_ptr + at, z_ptr + at, skip, bias, d, t, T,
            HAS_Z, SOFTPLUS, ONLY_STATE, False, DIM, BD,
        )  # fmt: skip
        if ONLY_STATE:
            total += step
        if CARRY:
            at = tl.cast(tl.minimum(k + 1, full - 1), tl.int64) * T * STATES
            gain_next = _load_matrix(B_ptr + at, n, t, T, False, STATES, N)
            read_next = _load_matrix(C_ptr + at, n, t, T, False, STATES, N)
        else:
            at = tl.cast(k, tl.int64) * T * STATES
            gain = _load_matrix(B_ptr + at, n, t, T, False, STATES, N)
            read = _load_matrix(C_ptr + at, n, t, T, False, STATES, N)
        h = _forward_block(
            step, x, around, gate, gain, read, y_ptr, saved_ptr, h, rates, d, n, t, T,
            HAS_SKIP, HAS_Z, SHARED, KEEP, ONLY_STATE, CHUNK, False, DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
        if CARRY:
            gain, read = gain_next, read_next
        y_ptr += T * DIM
        saved_ptr += (T // CHUNK) * STATES * DIM
    if full * T < length:
        at = tl.cast(full, tl.int64) * T * DIM
        step, x, around, gate = _prepare(
            u_ptr + at, delta_ptr + at, z_ptr + at, skip, bias, d, t, length - full * T,
            HAS_Z, SOFTPLUS, ONLY_STATE, True, DIM, BD,
        )  # fmt: skip
        if ONLY_STATE:
            total += step
        at = tl.cast(full, tl.int64) * T * STATES
        gain = _load_matrix(B_ptr + at, n, t, length - full * T, True, STATES, N)
        read = _load_matrix(C_ptr + at, n, t, length - full * T, True, STATES, N)
        h = _forward_block(
            step, x, around, gate, gain, read, y_ptr, saved_ptr, h, rates, d, n, t,
            length - full * T,
            HAS_SKIP, HAS_Z, SHARED, KEEP, ONLY_STATE, CHUNK, True, DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
    tl.store(last_ptr + state_at, h, mask=live_state)
    if ONLY_STATE:
        tl.store(sums_ptr + row * DIM + d, tl.sum(tl.reshape(total, [T, BD]), axis=0), mask=d < DIM)


@triton.jit
def _backward_block(
    u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
    grad_u_ptr, grad_delta_ptr, grad_z_ptr, grad_B_ptr, grad_C_ptr,
    carry, grad_A, grad_skip, grad_bias, rates, skip, bias, d, n, t, lane, left,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr, SHARED: tl.constexpr,
    RAGGED_END: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Rerun one block from its kept state, walk it backwards; return the carry and the sums."""
    MASKED: tl.constexpr = RAGGED_END or DIM % BD != 0
    MASKED_BC: tl.constexpr = RAGGED_END or STATES != N
    live = (t < left)[:, None] & (d < DIM)[None, :]
    live_bc = (t < left)[:, None, None] & (n < STATES)[None, :, :]
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    wide = t[:, None] * DIM + d[None, :]
    narrow = t[:, None, None] * STATES + n[None, :, :]
    u = _load(u_ptr + wide, live, MASKED).to(tl.float32)
    raw = _load(delta_ptr + wide, live, MASKED).to(tl.float32) + bias[None, :]
    grad = _load(grad_y_ptr + wide, live, MASKED).to(tl.float32)
    gain = _load(B_ptr + narrow, live_bc, MASKED_BC).to(tl.float32)
    read = _load(C_ptr + narrow, live_bc, MASKED_BC).to(tl.float32)
    MASKED_STATE: tl.constexpr = DIM % BD != 0 or STATES != N
    kept = n[:, :, None] * DIM + d[None, None, :]
    h = _load(saved_ptr + kept, live_state, MASKED_STATE).to(tl.float32)
    step = raw
    if SOFTPLUS:
        step, e = softplus(raw)
    if RAGGED_END:
        step = tl.where(live, step, 0.0)
    x = step * u
    decay = tl.exp2(step[:, None, None, :] * rates[None, :, :, :])
    if SHARED:
        decay = tl.broadcast_to(decay, [T, N // NL, NL, BD])
    drive = x[:, None, None, :] * gain[:, :, :, None]
    path, _ = walk(decay, drive, h, t, T)
    if HAS_Z:
        gate = _load(z_ptr + wide, live, MASKED).to(tl.float32)
        half = sigmoid(gate)
        y = sum_states(path * read[:, :, :, None])
        if HAS_SKIP:
            y += u * skip[None, :]
        grad_z = round_for(grad * y * half * (1.0 + gate * (1.0 - half)), grad_z_ptr)
        tl.store(grad_z_ptr + wide, grad_z, mask=live)
        grad = grad * gate * half
    if HAS_SKIP:
        grad_skip += grad * u
    adjoint, pull = decay, decay
    for i in tl.static_range(T):
        read_i = row_of(tl.broadcast_to(read[:, :, :, None], decay.shape), t, T - 1 - i)
        grad_i = row_of(tl.broadcast_to(grad[:, None, None, :], decay.shape), t, T - 1 - i)
        step_i = row_of(tl.broadcast_to(step[:, None, None, :], decay.shape), t, T - 1 - i)
        now = tl.fma(read_i, grad_i, carry)
        carry = row_of(decay, t, T - 1 - i) * now
        before = h
        if i < T - 1:
            before = row_of(path, t, T - 2 - i)
        slope = carry * before
        if not SHARED:
            grad_A += slope * step_i
        adjoint = put_row(adjoint, now, t, T - 1 - i)
        pull = put_row(pull, slope, t, T - 1 - i)
    if SHARED:
        through_decay = sum_states(pull)
        grad_A += through_decay * step
        through_decay = through_decay * tl.reshape(rates, [1, BD]) * LN2
    else:
        through_decay = sum_states(pull * rates[None, :, :, :]) * LN2
    through_drive = sum_states(adjoint * gain[:, :, :, None])
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
    sums_B = sum_channels(adjoint * x[:, None, None, :])
    sums_C = sum_channels(path * grad[:, None, None, :])
    rows = tl.arange(0, sums_B.shape[0])[:, None, None, None] * BD + lane[None, None, None, :]
    spread = rows * STATES + n[None, :, :, None]
    live_spread = (rows < left) & (rows < T) & (n < STATES)[None, :, :, None]
    tl.store(grad_B_ptr + spread, round_for(sums_B, grad_B_ptr), mask=live_spread)
    tl.store(grad_C_ptr + spread, round_for(sums_C, grad_C_ptr), mask=live_spread)
    return carry, grad_A, grad_skip, grad_bias


@triton.jit(do_not_specialize=["length", "tokens"])
def scan_backward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr,
    starts_ptr, lengths_ptr, chunk_at_ptr, saved_ptr, grad_y_ptr, grad_last_ptr,
    grad_u_ptr, grad_delta_ptr, grad_z_ptr, grad_A_ptr, grad_B_ptr, grad_C_ptr,
    grad_skip_ptr, grad_bias_ptr, grad_first_ptr, length, tokens,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_LAST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, SHARED: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write the gradients of BD channels of one row; those shared by rows or channels in parts.

    Blocks of T steps are rerun from their kept state, then walked backwards. Each program writes
    its own part of the gradients of B and C (channels) and of A, D_skip and bias (rows): sums
    without atomics, the same in every run.
    """
    row = tl.program_id(1).to(tl.int64)
    part = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BD)
    d = tl.program_id(0) * BD + lane
    n = tl.arange(0, N // NL)[:, None] + tl.arange(0, NL)[None, :] * (N // NL)
    t = tl.arange(0, T)
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    start = row * length
    chunk_at = row * tl.cdiv(length, T)
    if RAGGED:
        start = tl.load(starts_ptr + row)
        chunk_at = tl.load(chunk_at_ptr + row)
        length = tl.load(lengths_ptr + row).to(tl.int32)
    rates = _load_rates(A_ptr, d, n, live_state, SHARED, DIM, STATES)
    skip = _load_channels(skip_ptr, d, HAS_SKIP, DIM)
    bias = _load_channels(bias_ptr, d, HAS_BIAS, DIM)
    state_at = (row * DIM + d[None, None, :]) * STATES + n[:, :, None]
    carry = tl.zeros([N // NL, NL, BD], tl.float32)
    if HAS_LAST:
        carry = tl.load(grad_last_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    if SHARED:
        grad_A = tl.zeros([T, BD], tl.float32)
    else:
        grad_A = tl.zeros([N // NL, NL, BD], tl.float32)
    grad_skip = tl.zeros([T, BD], tl.float32)
    grad_bias = tl.zeros([T, BD], tl.float32)
    full = length // T
    at = (start + full * T) * DIM
    at_bc = (start + full * T) * STATES
    u_ptr += at
    delta_ptr += at
    z_ptr += at
    grad_y_ptr += at
    grad_u_ptr += at
    grad_delta_ptr += at
    grad_z_ptr += at
    B_ptr += at_bc
    C_ptr += at_bc
    grad_B_ptr += part * tokens * STATES + at_bc
    grad_C_ptr += part * tokens * STATES + at_bc
    saved_ptr += (chunk_at + full) * STATES * DIM
    if full * T < length:
        carry, grad_A, grad_skip, grad_bias = _backward_block(
            u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
            grad_u_ptr, grad_delta_ptr, grad_z_ptr, grad_B_ptr, grad_C_ptr,
            carry, grad_A, grad_skip, grad_bias, rates, skip, bias, d, n, t, lane,
            length - full * T,
            HAS_SKIP, HAS_Z, SOFTPLUS, SHARED, True, DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
    for _ in tl.range(0, full, num_stages=STAGES):
        u_ptr -= T * DIM
        delta_ptr -= T * DIM
        z_ptr -= T * DIM
        grad_y_ptr -= T * DIM
        grad_u_ptr -= T * DIM
        grad_delta_ptr -= T * DIM
        grad_z_ptr -= T * DIM
        B_ptr -= T * STATES
        C_ptr -= T * STATES
        grad_B_ptr -= T * STATES
        grad_C_ptr -= T * STATES
        saved_ptr -= STATES * DIM
        carry, grad_A, grad_skip, grad_bias = _backward_block(
            u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, grad_y_ptr, saved_ptr,
            grad_u_ptr, grad_delta_ptr, grad_z_ptr, grad_B_ptr, grad_C_ptr,
            carry, grad_A, grad_skip, grad_bias, rates, skip, bias, d, n, t, lane, T,
            HAS_SKIP, HAS_Z, SOFTPLUS, SHARED, False, DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
    if SHARED:
        tl.store(grad_A_ptr + row * DIM + d, tl.sum(grad_A, axis=0), mask=d < DIM)
    else:
        tl.store(grad_A_ptr + state_at, grad_A, mask=live_state)
    tl.store(grad_skip_ptr + row * DIM + d, tl.sum(grad_skip, axis=0), mask=d < DIM)
    tl.store(grad_bias_ptr + row * DIM + d, tl.sum(grad_bias, axis=0), mask=d < DIM)
    tl.store(grad_first_ptr + state_at, carry, mask=live_state)


@triton.jit
def _sum_parts(part_ptr, out_ptr, first, size, parts, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    """Add up (parts, size) over parts for BLOCK columns, PARTS rows at a time."""
    at = first + tl.arange(0, BLOCK)
    part = tl.arange(0, PARTS)
    total = tl.zeros([PARTS, BLOCK], tl.float32)
    part_ptr += part[:, None].to(tl.int64) * size + at[None, :]
    for done in range(0, parts, PARTS):
        live = (part < parts - done)[:, None] & (at < size)[None, :]
        total += tl.load(part_ptr, mask=live, other=0.0).to(tl.float32)
        part_ptr += tl.cast(size, tl.int64) * PARTS
    total = round_for(tl.sum(total, axis=0), out_ptr)
    tl.store(out_ptr + at, total, mask=at < size)


@triton.jit(do_not_specialize=["size", "parts", "rows"])
def sum_parts_kernel(
    part_B_ptr, part_C_ptr, part_A_ptr, part_skip_ptr, part_bias_ptr,
    B_ptr, C_ptr, A_ptr, skip_ptr, bias_ptr, size, parts, rows,
    HAS_SKIP: tl.constexpr, HAS_BIAS: tl.constexpr, SIZE_A: tl.constexpr, DIM: tl.constexpr,
    BLOCK: tl.constexpr, PARTS: tl.constexpr, BLOCK_A: tl.constexpr, PARTS_A: tl.constexpr,
):  # fmt: skip
    """Add up the parts of all shared gradients in one launch, always in the same order."""
    job = tl.program_id(0)
    blocks = tl.cdiv(SIZE_A, BLOCK_A)
    if job < blocks:
        first = job.to(tl.int64) * BLOCK_A
        _sum_parts(part_A_ptr, A_ptr, first, SIZE_A, rows, PARTS_A, BLOCK_A)
        if first < DIM:
            if HAS_SKIP:
                _sum_parts(part_skip_ptr, skip_ptr, first, DIM, rows, PARTS_A, BLOCK_A)
            if HAS_BIAS:
                _sum_parts(part_bias_ptr, bias_ptr, first, DIM, rows, PARTS_A, BLOCK_A)
    else:
        first = (job - blocks).to(tl.int64) * BLOCK
        _sum_parts(part_B_ptr, B_ptr, first, size, parts, PARTS, BLOCK)
        _sum_parts(part_C_ptr, C_ptr, first, size, parts, PARTS, BLOCK)


@triton.jit(do_not_specialize=["length"])
def scan_carry_kernel(
    delta_ptr, A_ptr, C_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr, grad_y_ptr, carry_ptr,
    HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, SOFTPLUS: tl.constexpr, SHARED: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write the gradient that one segment sends to the state before it, with none coming in."""
    row = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = tl.arange(0, N // NL)[:, None] + tl.arange(0, NL)[None, :] * (N // NL)
    t = tl.arange(0, T)
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    start = tl.load(starts_ptr + row)
    length = tl.load(lengths_ptr + row).to(tl.int32)
    rates = _load_rates(A_ptr, d, n, live_state, SHARED, DIM, STATES)
    bias = _load_channels(bias_ptr, d, HAS_BIAS, DIM)
    carry = tl.zeros([N // NL, NL, BD], tl.float32)
    blocks = tl.cdiv(length, T)
    for k in tl.range(0, blocks, num_stages=STAGES):
        t0 = (blocks - 1 - k) * T
        live = (t0 + t < length)[:, None] & (d < DIM)[None, :]
        at = (start + t0 + t)[:, None] * DIM + d[None, :]
        step = tl.load(delta_ptr + at, mask=live, other=0.0).to(tl.float32) + bias[None, :]
        if SOFTPLUS:
            step, _ = softplus(step)
        step = tl.where(live, step, 0.0)
        grad = tl.load(grad_y_ptr + at, mask=live, other=0.0).to(tl.float32)
        if HAS_Z:
            gate = tl.load(z_ptr + at, mask=live, other=0.0).to(tl.float32)
            grad = grad * gate * sigmoid(gate)
        live_bc = (t0 + t < length)[:, None, None] & (n < STATES)[None, :, :]
        at_bc = (start + t0 + t)[:, None, None] * STATES + n[None, :, :]
        read = tl.load(C_ptr + at_bc, mask=live_bc, other=0.0).to(tl.float32)
        decay = tl.exp2(step[:, None, None, :] * rates[None, :, :, :])
        direct = read[:, :, :, None] * grad[:, None, None, :]
        if SHARED:
            decay = tl.broadcast_to(decay, [T, N // NL, NL, BD])
        for i in tl.static_range(T):
            now = row_of(direct, t, T - 1 - i) + carry
            carry = row_of(decay, t, T - 1 - i) * now
    at = (row * DIM + d[None, None, :]) * STATES + n[:, :, None]
    tl.store(carry_ptr + at, carry, mask=live_state)


@triton.jit(do_not_specialize=["segments"])
def chain_kernel(
    ends_ptr, sums_ptr, A_ptr, given_ptr, into_ptr, segments,
    HAS_GIVEN: tl.constexpr, BACKWARD: tl.constexpr, SHARED: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Chain the segments of one row: what comes into each from what they give from zero."""
    row = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < DIM * STATES
    d = at // STATES
    rates = tl.load(A_ptr + (d if SHARED else at), mask=live, other=0.0).to(tl.float32) * LOG2E
    state = tl.zeros([BLOCK], tl.float32)
    if HAS_GIVEN:
        state = tl.load(given_ptr + row * DIM * STATES + at, mask=live, other=0.0).to(tl.float32)
    for k in tl.range(0, segments, num_stages=4):
        segment = row * segments + (segments - 1 - k if BACKWARD else k)
        tl.store(into_ptr + segment * DIM * STATES + at, state, mask=live)
        total = tl.load(sums_ptr + segment * DIM + d, mask=live, other=0.0)
        end = tl.load(ends_ptr + segment * DIM * STATES + at, mask=live, other=0.0)
        state = tl.exp2(rates * total) * state + end
