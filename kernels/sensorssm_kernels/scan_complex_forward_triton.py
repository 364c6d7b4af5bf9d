"""The forward of the scan with complex rates in Triton; its tiles: `scan_complex_tiles_triton`."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportAssignmentType=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import round_for, sum_states
from sensorssm_kernels.scan_complex_tiles_triton import (
    decay_pair,
    load_moving,
    load_pair,
    load_still,
    own_pairs,
    store_pair,
    walk_pair,
)
from sensorssm_kernels.scan_forward_triton import prepare
from sensorssm_kernels.scan_tiles_triton import locate


@triton.jit
def _forward_block(
    u_ptr, delta_ptr, z_ptr, B_ptr, C_ptr, y_ptr, saved_ptr, plane, still_B, still_C, h, h_imag,
    rate, spin, skip, bias, d, n, t, left,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, SOFTPLUS: tl.constexpr,
    FIXED_B: tl.constexpr, FIXED_C: tl.constexpr, KEEP: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Run one block, of which `left` steps exist; return the state after it."""
    if KEEP:
        kept = saved_ptr + d[None, None, :] * STATES + n[:, :, None]
        live_state = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
        tl.store(kept, round_for(h, saved_ptr), mask=live_state)
        tl.store(kept + DIM * STATES, round_for(h_imag, saved_ptr), mask=live_state)
    step, x, around, gate = prepare(
        u_ptr, delta_ptr, z_ptr, skip, bias, d, t, left, HAS_Z, SOFTPLUS, False, RAGGED_END, DIM, BD
    )
    gain, gain_imag = load_moving(
        B_ptr, plane, still_B, d, n, t, left, FIXED_B, RAGGED_END, DIM, STATES, N
    )
    cos, sin = decay_pair(step, rate, spin)
    x = x[:, None, None, :]
    path, path_imag, h, h_imag = walk_pair(cos, sin, x * gain, x * gain_imag, h, h_imag, t, T)
    read, read_imag = load_moving(
        C_ptr, plane, still_C, d, n, t, left, FIXED_C, RAGGED_END, DIM, STATES, N
    )
    y = 2.0 * sum_states(path * read - path_imag * read_imag)
    if HAS_SKIP:
        y += around
    if HAS_Z:
        y = y * gate
    at = t[:, None] * DIM + d[None, :]
    if RAGGED_END or DIM % BD != 0:
        tl.store(y_ptr + at, round_for(y, y_ptr), mask=(t < left)[:, None] & (d < DIM)[None, :])
    else:
        tl.store(y_ptr + at, round_for(y, y_ptr))
    return h, h_imag


@triton.jit(do_not_specialize=["length", "tokens"])
def scan_complex_forward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, first_ptr, y_ptr, last_ptr, saved_ptr, length, tokens,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, FIXED_B: tl.constexpr, FIXED_C: tl.constexpr,
    KEEP: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write y and the last state of BD channels of one row; keep the state before every block."""
    row, start, length, chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, 1, length, RAGGED, T
    )
    d, n, at_state, live_state, rate, spin, skip, bias = own_pairs(
        A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP, HAS_BIAS, DIM, STATES, N, NL, BD
    )
    t = tl.arange(0, T)
    h = tl.zeros([N // NL, NL, BD], tl.float32)
    h_imag = h
    if HAS_FIRST:
        h, h_imag = load_pair(first_ptr, at_state, live_state)
    plane = tl.cast(tokens, tl.int64) * STATES
    still_B = load_still(B_ptr, d, n, FIXED_B, DIM, STATES)
    still_C = load_still(C_ptr, d, n, FIXED_C, DIM, STATES)
    STRIDE_B: tl.constexpr = 0 if FIXED_B else STATES
    STRIDE_C: tl.constexpr = 0 if FIXED_C else STATES
    u_ptr += start * DIM
    delta_ptr += start * DIM
    z_ptr += start * DIM
    y_ptr += start * DIM
    B_ptr += start * STRIDE_B
    C_ptr += start * STRIDE_C
    saved_ptr += chunk_at * (2 * STATES * DIM)
    full = length // T
    for _ in tl.range(0, full, num_stages=STAGES):
        h, h_imag = _forward_block(
            u_ptr, delta_ptr, z_ptr, B_ptr, C_ptr, y_ptr, saved_ptr, plane, still_B, still_C, h, h_imag,
            rate, spin, skip, bias, d, n, t, T,
            HAS_SKIP, HAS_Z, SOFTPLUS, FIXED_B, FIXED_C, KEEP, False, DIM, STATES, N, BD, T,
        )  # fmt: skip
        u_ptr += T * DIM
        delta_ptr += T * DIM
        z_ptr += T * DIM
        y_ptr += T * DIM
        B_ptr += T * STRIDE_B
        C_ptr += T * STRIDE_C
        saved_ptr += 2 * STATES * DIM
    if full * T < length:
        h, h_imag = _forward_block(
            u_ptr, delta_ptr, z_ptr, B_ptr, C_ptr, y_ptr, saved_ptr, plane, still_B, still_C, h, h_imag,
            rate, spin, skip, bias, d, n, t, length - full * T,
            HAS_SKIP, HAS_Z, SOFTPLUS, FIXED_B, FIXED_C, KEEP, True, DIM, STATES, N, BD, T,
        )  # fmt: skip
    store_pair(last_ptr, at_state, h, h_imag, live_state)
