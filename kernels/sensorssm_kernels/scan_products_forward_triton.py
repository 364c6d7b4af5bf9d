"""The forward of the scan by matrix products; `scan_products_tiles_triton` has its algebra."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportAssignmentType=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import LOG2E, round_for, sigmoid
from sensorssm_kernels.scan_products_tiles_triton import (
    DOWN,
    UP,
    add_product,
    advance,
    fade,
    load_narrow,
    load_wide,
    own_states,
    product,
    put,
    row,
    running_product,
    soften,
)
from sensorssm_kernels.scan_tiles_triton import load_channels, locate


@triton.jit
def _load_chunk(
    u_ptr, delta_ptr, z_ptr, B_ptr, C_ptr, d, n, t, at, left, HAS_Z: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return the readings, B and C of the chunk from token `at` on, of which `left` steps exist."""
    u = load_wide(u_ptr + at * DIM, d, t, left, DIM, BD)
    delta = load_wide(delta_ptr + at * DIM, d, t, left, DIM, BD)
    z = u
    if HAS_Z:
        z = load_wide(z_ptr + at * DIM, d, t, left, DIM, BD)
    gain = load_narrow(B_ptr + at * STATES, n, t, left, STATES, N)
    return u, delta, z, gain, load_narrow(C_ptr + at * STATES, n, t, left, STATES, N)


@triton.jit
def _multiply(decay, x, gain, read, h, t):
    """Return the outs of a chunk and the state after it, by products.

    A reading that is not a number poisons the decays from its step on, and not, through a product
    with zeros, the steps before it.
    """
    passed, whole = running_product(decay + (x - x))
    drive = x * (1.0 / passed)
    drive = tl.where(tl.abs(drive) < float("inf"), drive, 0.0)
    pairs = product(read, tl.trans(gain))
    pairs = tl.where(t[:, None] >= t[None, :], pairs, 0.0)
    out = add_product(pairs, drive, product(read * DOWN, h)) * passed
    into = product(tl.trans(gain), drive * (whole * UP)[None, :])
    return out, whole[None, :] * h + into


@triton.jit
def _step(decay, x, gain, read, h, t, T: tl.constexpr):
    """Return the same, step by step."""
    out = x
    for i in range(T):
        h = advance(h, decay, x, gain, t, i)
        out = put(out, tl.sum(row(read, t, i)[:, None] * h, axis=0), t, i)
    return out, h


@triton.jit(do_not_specialize=["length", "segments", "steps"])
def scan_products_forward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, first_ptr, y_ptr, last_ptr, saved_ptr, _sums_ptr, length, segments, steps,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, KEEP: tl.constexpr, DIM: tl.constexpr,
    STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """Write y and the last state of BD channels of one row; keep the state every T steps."""
    own, start, length, chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, segments, steps, RAGGED, T
    )
    d, n, t = tl.program_id(0) * BD + tl.arange(0, BD), tl.arange(0, N), tl.arange(0, T)
    state_at, live_state = own_states(own, d, n, DIM, STATES)
    kept_at, _live = own_states(0, d, n, DIM, STATES)
    rates = load_channels(A_ptr, d, True, DIM) * LOG2E
    skip = load_channels(skip_ptr, d, HAS_SKIP, DIM)
    bias = load_channels(bias_ptr, d, HAS_BIAS, DIM)
    h = tl.zeros([N, BD], tl.float32)
    if HAS_FIRST:
        h = tl.load(first_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    saved_ptr += chunk_at * STATES * DIM
    for k in tl.range(0, tl.cdiv(length, T), num_stages=STAGES):
        at, left = start + tl.cast(k, tl.int64) * T, length - k * T
        u, delta, z, gain, read = _load_chunk(
            u_ptr, delta_ptr, z_ptr, B_ptr, C_ptr, d, n, t, at, left, HAS_Z, DIM, STATES, N, BD
        )
        if KEEP:
            tl.store(saved_ptr + kept_at, round_for(h, saved_ptr), mask=live_state)
            saved_ptr += STATES * DIM
        u, gain, read = u.to(tl.float32), gain.to(tl.float32), read.to(tl.float32)
        step, _slope = soften(delta, bias, t, left, SOFTPLUS)
        decay, mild = fade(step, rates)
        if mild:
            y, h = _multiply(decay, step * u, gain, read, h, t)
        else:
            y, h = _step(decay, step * u, gain, read, h, t, T)
        y += u * skip[None, :]
        if HAS_Z:
            gate = z.to(tl.float32)
            y = y * gate * sigmoid(gate)
        live = (t < left)[:, None] & (d < DIM)[None, :]
        tl.store(y_ptr + at * DIM + t[:, None] * DIM + d[None, :], round_for(y, y_ptr), mask=live)
    tl.store(last_ptr + state_at, h, mask=live_state)
