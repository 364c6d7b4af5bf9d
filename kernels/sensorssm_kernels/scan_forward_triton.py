"""The forward of the scan in Triton; its tiles are described in `scan_tiles_triton`."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
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
    load_channels,
    load_matrix,
    load_rates,
    locate,
    number_states,
)


@triton.jit
def _prepare(
    u_ptr, delta_ptr, z_ptr, skip, bias, d, t, left,
    HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr, ONLY_STATE: tl.constexpr,
    RAGGED_END: tl.constexpr, DIM: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return what a block needs of u, delta and z, [T, BD]: step, step times u, skip, gate."""
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
    u_ptr, delta_ptr, B_ptr, C_ptr, z_ptr, y_ptr, saved_ptr,
    h, total, rates, skip, bias, d, n, t, left,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr, SHARED: tl.constexpr,
    KEEP: tl.constexpr, ONLY_STATE: tl.constexpr, CHUNK: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Run one block, of which `left` steps exist; return the state after it and the steps so far."""
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    kept = d[None, None, :] * STATES + n[:, :, None]
    step, x, around, gate = _prepare(
        u_ptr, delta_ptr, z_ptr, skip, bias, d, t, left,
        HAS_Z, SOFTPLUS, ONLY_STATE, RAGGED_END, DIM, BD,
    )  # fmt: skip
    gain = load_matrix(B_ptr, n, t, left, RAGGED_END, STATES, N)
    decay = decays(step, rates, SHARED, N // NL, NL)
    if KEEP:
        tl.store(saved_ptr + kept, round_for(h, saved_ptr), mask=live_state)
    path, h = walk(decay, x[:, None, None, :] * gain[:, :, :, None], h, t, T)
    if KEEP:
        for i in tl.static_range(CHUNK, T, CHUNK):
            at = saved_ptr + (i // CHUNK) * STATES * DIM + kept
            exists = tl.full([1, 1, 1], i, tl.int32) < left
            tl.store(at, round_for(row_of(path, t, i - 1), saved_ptr), mask=live_state & exists)
    if ONLY_STATE:
        total += step
    else:
        read = load_matrix(C_ptr, n, t, left, RAGGED_END, STATES, N)
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
    return h, total


@triton.jit(do_not_specialize=["length", "segments", "steps"])
def scan_forward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, first_ptr, y_ptr, last_ptr, saved_ptr, sums_ptr, length, segments, steps,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, SHARED: tl.constexpr, KEEP: tl.constexpr,
    ONLY_STATE: tl.constexpr, CHUNK: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write y and the last state of BD channels of one row; keep the state every CHUNK steps.

    T is CHUNK or a multiple of it. With ONLY_STATE there is no y: just the last state, and the sum
    of the steps in `sums_ptr`.
    """
    row, start, length, chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, segments, steps, RAGGED, CHUNK
    )
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = number_states(N, NL)
    t = tl.arange(0, T)
    live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    rates = load_rates(A_ptr, d, n, live_state, SHARED, DIM, STATES)
    skip = load_channels(skip_ptr, d, HAS_SKIP, DIM)
    bias = load_channels(bias_ptr, d, HAS_BIAS, DIM)
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
    total = tl.zeros([T, BD], tl.float32)
    full = length // T
    for k in tl.range(0, full, num_stages=STAGES):
        at = tl.cast(k, tl.int64) * T * DIM
        at_bc = tl.cast(k, tl.int64) * T * STATES
        h, total = _forward_block(
            u_ptr + at, delta_ptr + at, B_ptr + at_bc, C_ptr + at_bc, z_ptr + at, y_ptr, saved_ptr,
            h, total, rates, skip, bias, d, n, t, T,
            HAS_SKIP, HAS_Z, SOFTPLUS, SHARED, KEEP, ONLY_STATE, CHUNK, False,
            DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
        y_ptr += T * DIM
        saved_ptr += (T // CHUNK) * STATES * DIM
    if full * T < length:
        at = tl.cast(full, tl.int64) * T * DIM
        at_bc = tl.cast(full, tl.int64) * T * STATES
        h, total = _forward_block(
            u_ptr + at, delta_ptr + at, B_ptr + at_bc, C_ptr + at_bc, z_ptr + at, y_ptr, saved_ptr,
            h, total, rates, skip, bias, d, n, t, length - full * T,
            HAS_SKIP, HAS_Z, SOFTPLUS, SHARED, KEEP, ONLY_STATE, CHUNK, True,
            DIM, STATES, N, NL, BD, T,
        )  # fmt: skip
    tl.store(last_ptr + state_at, h, mask=live_state)
    if ONLY_STATE:
        tl.store(sums_ptr + row * DIM + d, tl.sum(total, axis=0), mask=d < DIM)
