"""The forward of the scan in Triton; its tiles are described in `scan_tiles_triton`."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportAssignmentType=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import (
    hold,
    round_for,
    row_of,
    sigmoid,
    softplus,
    sum_states,
    walk,
)
from sensorssm_kernels.scan_tiles_triton import (
    decays,
    load,
    load_matrix,
    locate,
    own_channels,
)


@triton.jit
def prepare(
    u_ptr, delta_ptr, z_ptr, skip, bias, d, t, left,
    HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr, ONLY_STATE: tl.constexpr,
    RAGGED_END: tl.constexpr, DIM: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return what a block needs of u, delta and z, [T, BD]: step, step times u, skip, gate.

    Of a block of which `left` steps exist; the steps of the others are 0.
    """
    MASKED: tl.constexpr = RAGGED_END or DIM % BD != 0
    live = (t < left)[:, None] & (d < DIM)[None, :]
    at = t[:, None] * DIM + d[None, :]
    u = load(u_ptr + at, live, MASKED).to(tl.float32)
    step = load(delta_ptr + at, live, MASKED).to(tl.float32) + bias[None, :]
    if SOFTPLUS:
        step, _ = softplus(step)
    if RAGGED_END:
        step = tl.where(live, step, 0.0)
    step = hold(step)
    gate = u
    if HAS_Z and not ONLY_STATE:
        gate = load(z_ptr + at, live, MASKED).to(tl.float32)
        gate = gate * sigmoid(gate)
    return step, hold(step * u), u * skip[None, :], gate


@triton.jit
def _forward_block(
    readings, B_ptr, C_ptr, y_ptr, saved_ptr, h, total, rates, d, n, t, left,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, SHARED: tl.constexpr,
    FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, KEEP: tl.constexpr, ONLY_STATE: tl.constexpr,
    CHUNK: tl.constexpr, AHEAD: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Run a block whose readings are prepared; return the state after it and the steps so far."""
    step, x, around, gate = readings
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    kept = d[None, None, :] * STATES + n[:, :, None]
    gain = load_matrix(B_ptr, d, n, t, left, FIXED_B, RAGGED_END, DIM, STATES, N)
    decay = decays(step, rates, SHARED, N // NL, NL)
    if KEEP:
        tl.store(saved_ptr + kept, round_for(h, saved_ptr), mask=live_state)
    path, h = walk(decay, x[:, None, None, :] * gain, h, t, T, not AHEAD)
    if KEEP:
        for i in tl.static_range(CHUNK, T, CHUNK):
            at = saved_ptr + (i // CHUNK) * STATES * DIM + kept
            exists = tl.full([1, 1, 1], i, tl.int32) < left
            tl.store(at, round_for(row_of(path, t, i - 1), saved_ptr), mask=live_state & exists)
    if ONLY_STATE:
        total += step
    else:
        read = load_matrix(C_ptr, d, n, t, left, FIXED_C, RAGGED_END, DIM, STATES, N)
        y = sum_states(path * read)
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
    return h, total


@triton.jit(do_not_specialize=["length", "segments", "steps"])
def scan_forward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, first_ptr, y_ptr, last_ptr, saved_ptr, sums_ptr, length, segments, steps,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, SHARED: tl.constexpr,
    FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, KEEP: tl.constexpr, ONLY_STATE: tl.constexpr,
    CHUNK: tl.constexpr, AHEAD: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
    STAGES: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """Write y and the last state of BD channels of one row; keep the state every CHUNK steps.

    T is CHUNK or a multiple of it. With ONLY_STATE there is no y: just the last state, and the sum
    of the steps in `sums_ptr`. With AHEAD the readings of a block are prepared while the block
    before it is walked: softplus and gate then fill the waits of a warp that has its scheduler to
    itself (18 % on an H100, 5 % of it by UNROLL), and lengthen the way into short rows.
    """
    row, start, length, chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, segments, steps, RAGGED, CHUNK
    )
    d, n, state_at, live_state, rates, skip, bias = own_channels(
        A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP, HAS_BIAS, SHARED, DIM, STATES, N, NL, BD
    )
    t = tl.arange(0, T)
    h = tl.zeros([N // NL, NL, BD], tl.float32)
    if HAS_FIRST:
        h = tl.load(first_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    u_ptr += start * DIM
    delta_ptr += start * DIM
    z_ptr += start * DIM
    y_ptr += start * DIM
    STRIDE_B: tl.constexpr = 0 if FIXED_B else STATES
    STRIDE_C: tl.constexpr = 0 if FIXED_C else STATES
    B_ptr += start * STRIDE_B
    C_ptr += start * STRIDE_C
    saved_ptr += chunk_at * STATES * DIM
    total = tl.zeros([T, BD], tl.float32)
    full = length // T
    if AHEAD:
        coming = prepare(
            u_ptr, delta_ptr, z_ptr, skip, bias, d, t, length,
            HAS_Z, SOFTPLUS, ONLY_STATE, True, DIM, BD,
        )  # fmt: skip
    for k in tl.range(0, full, num_stages=STAGES, loop_unroll_factor=UNROLL):
        block = tl.cast(k, tl.int64) * T
        # The last block prepares itself once more: nothing beyond the row is read.
        at = (tl.minimum(block + T, tl.cast(full - 1, tl.int64) * T) if AHEAD else block) * DIM
        readings = prepare(
            u_ptr + at, delta_ptr + at, z_ptr + at, skip, bias, d, t, T,
            HAS_Z, SOFTPLUS, ONLY_STATE, False, DIM, BD,
        )  # fmt: skip
        if AHEAD:
            readings, coming = coming, readings
        h, total = _forward_block(
            readings, B_ptr + block * STRIDE_B, C_ptr + block * STRIDE_C, y_ptr, saved_ptr,
            h, total, rates, d, n, t, T,
            HAS_SKIP, HAS_Z, SHARED, FIXED_B, FIXED_C, KEEP, ONLY_STATE, CHUNK, AHEAD, False,
            DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
        y_ptr += T * DIM
        saved_ptr += (T // CHUNK) * STATES * DIM
    if full * T < length:
        block = tl.cast(full, tl.int64) * T
        at = block * DIM
        readings = prepare(
            u_ptr + at, delta_ptr + at, z_ptr + at, skip, bias, d, t, length - full * T,
            HAS_Z, SOFTPLUS, ONLY_STATE, True, DIM, BD,
        )  # fmt: skip
        h, total = _forward_block(
            readings, B_ptr + block * STRIDE_B, C_ptr + block * STRIDE_C, y_ptr, saved_ptr,
            h, total, rates, d, n, t, length - full * T,
            HAS_SKIP, HAS_Z, SHARED, FIXED_B, FIXED_C, KEEP, ONLY_STATE, CHUNK, AHEAD, True,
            DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
    tl.store(last_ptr + state_at, h, mask=live_state)
    if ONLY_STATE:
        tl.store(sums_ptr + row * DIM + d, tl.sum(total, axis=0), mask=d < DIM)
