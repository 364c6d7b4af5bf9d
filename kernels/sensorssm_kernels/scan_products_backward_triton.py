"""The backward of the scan by matrix products: chunks from their kept states, the last one first.

With E the running product of a chunk's decays, h the state before it and p the adjoint of the state
after it, the gradients are the forward's products transposed (W[t, s] = C[t] B[s] E[t] / E[s]):

    dx[s] = sum over t >= s of W[t, s] g[t] + E[T] / E[s] (B[s] p)
    dC[t] = sum over s <= t of V[t, s] B[s] + E[t] (g[t] h),  V[t, s] = sum_d g[t] x[s] E[t] / E[s]
    dB[s] = sum over t >= s of V[t, s] C[t] + E[T] / E[s] (x[s] p)

The gradient of log a[t] is the sum of all that passes by step t: of g h from t on, of x p before t,
of p h, and of the pairs s < t <= t', which is a running sum of what they give their outs, less what
they take from their drives.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportAssignmentType=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import (
    LN2,
    LOG2E,
    hold,
    reciprocal,
    round_for,
    sigmoid,
    widen,
)
from sensorssm_kernels.scan_products_tiles_triton import (
    DOWN,
    UP,
    add_product,
    advance,
    exact_product,
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
    u_ptr, delta_ptr, z_ptr, grad_y_ptr, B_ptr, C_ptr, saved_ptr, d, n, t, at, kept, left,
    HAS_Z: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return readings, gradient, B, C and the state before chunk number `kept`, at token `at`."""
    u = load_wide(u_ptr + at * DIM, d, t, left, DIM, BD)
    delta = load_wide(delta_ptr + at * DIM, d, t, left, DIM, BD)
    grad = load_wide(grad_y_ptr + at * DIM, d, t, left, DIM, BD)
    z = u
    if HAS_Z:
        z = load_wide(z_ptr + at * DIM, d, t, left, DIM, BD)
    gain = load_narrow(B_ptr + at * STATES, n, t, left, STATES, N)
    read = load_narrow(C_ptr + at * STATES, n, t, left, STATES, N)
    in_chunk, live = own_states(0, d, n, DIM, STATES)
    h = tl.load(saved_ptr + kept * STATES * DIM + in_chunk, mask=live, other=0.0)
    return u, delta, z, grad, gain, read, h


@triton.jit
def _store_part(ptr, tile, n, t, left, STATES: tl.constexpr):
    live = (t < left)[:, None] & (n < STATES)[None, :]
    tl.store(ptr + t[:, None] * STATES + n[None, :], round_for(tile, ptr), mask=live)


@triton.jit
def _multiply_back(
    decay, x, grad, gain, read, h, carry, t, n, part_B_ptr, part_C_ptr, left,
    STATES: tl.constexpr,
):  # fmt: skip
    """Return outs, the gradients of drives and log decays, and the carry before a chunk.

    The gradients of B and C are written: in registers they would be in the way.
    """
    passed, whole = running_product(decay)
    passed = hold(passed)
    ahead = hold(reciprocal(passed))
    sent, drive = grad * passed, x * ahead
    small = h * DOWN
    cross = product(sent, tl.trans(drive))
    cross = tl.where(t[:, None] >= t[None, :], cross, 0.0)
    of_C = product(sent, tl.trans(small))
    of_C = add_product(cross, gain, of_C)
    _store_part(part_C_ptr, of_C, n, t, left, STATES)
    rest = ahead * (whole * UP)[None, :]
    of_B = product(x * rest, tl.trans(carry))
    of_B = add_product(tl.trans(cross), read, of_B)
    _store_part(part_B_ptr, of_B, n, t, left, STATES)
    pairs = product(read, tl.trans(gain))
    pairs = tl.where(t[:, None] > t[None, :], pairs, 0.0)
    out_x = hold(exact_product(pairs, drive)) * passed
    of_g = hold(exact_product(tl.trans(pairs), sent)) * ahead
    out_h = hold(product(read, small)) * passed
    of_p = hold(product(gain, carry)) * rest
    # What outs get of drives in the chunk, and drives of outs, cancels where nothing passes.
    later = tl.where(t[:, None] <= t[None, :], 1.0, 0.0)
    pull = exact_product(later, grad * (out_h + out_x) - x * of_g)
    pull = hold(add_product(1.0 - later, x * of_p, pull))
    pull += (whole * tl.sum(carry * h, axis=0))[None, :]
    carry = whole[None, :] * carry + product(tl.trans(read), sent) * DOWN
    own = tl.sum(read * gain, axis=1)[:, None]
    return out_h + out_x + x * own, of_p + of_g + grad * own, pull, carry


@triton.jit
def _step_back(
    decay, x, grad, gain, read, h, carry, t, n, part_B_ptr, part_C_ptr, left,
    STATES: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Return the same, step by step, each state rerun from the one before the chunk."""
    out, of_x, pull, of_B, of_C = x, x, x, gain, gain
    for k in range(T):
        i = T - 1 - k
        before = h
        for j in range(i):
            before = advance(before, decay, x, gain, t, j)
        now = advance(before, decay, x, gain, t, i)
        grad_i, read_i = row(grad, t, i)[None, :], row(read, t, i)[:, None]
        carry += read_i * grad_i
        out = put(out, tl.sum(read_i * now, axis=0), t, i)
        of_C = put(of_C, tl.sum(grad_i * now, axis=1), t, i)
        of_x = put(of_x, tl.sum(row(gain, t, i)[:, None] * carry, axis=0), t, i)
        of_B = put(of_B, tl.sum(row(x, t, i)[None, :] * carry, axis=1), t, i)
        carry = row(decay, t, i)[None, :] * carry
        pull = put(pull, tl.sum(carry * before, axis=0), t, i)
    _store_part(part_B_ptr, of_B, n, t, left, STATES)
    _store_part(part_C_ptr, of_C, n, t, left, STATES)
    return out, of_x, pull, carry


@triton.jit(do_not_specialize=["length", "segments", "steps", "tokens"])
def scan_products_backward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, starts_ptr, lengths_ptr,
    chunk_at_ptr, saved_ptr, grad_y_ptr, grad_last_ptr, grad_u_ptr, grad_delta_ptr, grad_z_ptr,
    grad_first_ptr, parts_ptr, rows_ptr, length, segments, steps, tokens,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    HAS_LAST: tl.constexpr, SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, DIM: tl.constexpr,
    STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr, T: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """Write the gradients of BD channels of one row, as `scan_backward_kernel` does."""
    own, start, length, chunk_at = locate(
        starts_ptr, lengths_ptr, chunk_at_ptr, length, segments, steps, RAGGED, T
    )
    d, n, t = tl.program_id(0) * BD + tl.arange(0, BD), tl.arange(0, N), tl.arange(0, T)
    state_at, live_state = own_states(own, d, n, DIM, STATES)
    rates = load_channels(A_ptr, d, True, DIM) * LOG2E
    skip = load_channels(skip_ptr, d, HAS_SKIP, DIM)
    bias = load_channels(bias_ptr, d, HAS_BIAS, DIM)
    carry = tl.zeros([N, BD], tl.float32)
    if HAS_LAST:
        carry = tl.load(grad_last_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    size = tl.cast(tokens, tl.int64) * STATES
    part_B_ptr = parts_ptr + tl.program_id(0) * size
    part_C_ptr = part_B_ptr + tl.num_programs(0) * size
    grad_A = tl.zeros([BD], tl.float32)
    grad_skip = tl.zeros([BD], tl.float32)
    grad_bias = tl.zeros([BD], tl.float32)
    chunks = tl.cdiv(length, T)
    for k in tl.range(0, chunks, num_stages=STAGES):
        chunk = tl.cast(chunks - 1 - k, tl.int64)
        at, left = start + chunk * T, length - (chunks - 1 - k) * T
        u, delta, z, grad, gain, read, h = _load_chunk(
            u_ptr, delta_ptr, z_ptr, grad_y_ptr, B_ptr, C_ptr, saved_ptr, d, n, t, at,
            chunk_at + chunk, left, HAS_Z, DIM, STATES, N, BD,
        )  # fmt: skip
        u, grad, h = widen(u), widen(grad), widen(h)
        gain, read = widen(gain), widen(read)
        step, slope = soften(delta, bias, t, left, SOFTPLUS)
        step, slope = hold(step), hold(slope)
        gated = grad
        if HAS_Z:
            gate = z.to(tl.float32)
            half = sigmoid(gate)
            gated = hold(grad * half * (1.0 + gate * (1.0 - half)))
            grad = hold(grad * gate * half)
        decay, mild = fade(step, rates)
        if mild:
            y, of_x, pull, carry = _multiply_back(
                decay,
                step * u,
                grad,
                gain,
                read,
                h,
                carry,
                t,
                n,
                part_B_ptr + at * STATES,
                part_C_ptr + at * STATES,
                left,
                STATES,
            )
        else:
            y, of_x, pull, carry = _step_back(
                decay,
                step * u,
                grad,
                gain,
                read,
                h,
                carry,
                t,
                n,
                part_B_ptr + at * STATES,
                part_C_ptr + at * STATES,
                left,
                STATES,
                T,
            )
        live = (t < left)[:, None] & (d < DIM)[None, :]
        to = at * DIM + t[:, None] * DIM + d[None, :]
        if HAS_Z:
            grad_z = gated * (y + u * skip[None, :])
            tl.store(grad_z_ptr + to, round_for(grad_z, grad_z_ptr), mask=live)
        grad_u = of_x * step + grad * skip[None, :]
        tl.store(grad_u_ptr + to, round_for(grad_u, grad_u_ptr), mask=live)
        grad_delta = (pull * (rates * LN2)[None, :] + of_x * u) * slope
        grad_delta = tl.where(live, grad_delta, 0.0)
        tl.store(grad_delta_ptr + to, round_for(grad_delta, grad_delta_ptr), mask=live)
        grad_A += tl.sum(pull * step, axis=0)
        grad_skip += tl.sum(grad * u, axis=0)
        grad_bias += tl.sum(grad_delta, axis=0)
    rows_ptr += own * 3 * DIM + d
    tl.store(rows_ptr, grad_A, mask=d < DIM)
    tl.store(rows_ptr + DIM, grad_skip, mask=d < DIM)
    tl.store(rows_ptr + 2 * DIM, grad_bias, mask=d < DIM)
    if HAS_FIRST:
        tl.store(grad_first_ptr + state_at, carry, mask=live_state)
