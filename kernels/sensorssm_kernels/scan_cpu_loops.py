"""The compiled loops of the CPU scan: strips of 16 channels, N vectors of state per strip.

A strip's B and C are splats, so the forward has no horizontal sum. `width` is the channel count
rounded up to whole strips; states, rates and per-channel vectors are padded to it, readings are
not (their loads take the number of live lanes). Rates arrive times log2(e).
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import numpy as np
from numba import njit

from sensorssm_kernels import simd
from sensorssm_kernels.scan_plan import CPU_BLOCK as BLOCK
from sensorssm_kernels.scan_plan import CPU_CHUNK as CHUNK
from sensorssm_kernels.scan_plan import CPU_LANES as LANES

LN2 = np.float32(0.6931471805599453)
_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "boundscheck": False}


@njit(**_OPTIONS)
def forward(
    first, last, starts, lengths, chunk_at, u, delta, rates, B, C, skip, z, bias, gated, softened,
    y, state, saved, keep,
):  # fmt: skip
    """Run jobs [first, last): one job is one strip of one row. `state` is updated in place."""
    dim, states, width = u.shape[1], state.shape[1], state.shape[2]
    strips = width // LANES
    h = np.empty(states * LANES, np.float32)
    rate = np.empty(states * LANES, np.float32)
    for job in range(first, last):
        row, d = job // strips, (job % strips) * LANES
        live = min(LANES, dim - d)
        home = row * states * width + d
        for n in range(states):
            simd.store(h, n * LANES, simd.load(state, home + n * width))
            if rates.ndim == 2:
                simd.store(rate, n * LANES, simd.load(rates, n * width + d))
        for t in range(lengths[row]):
            token = starts[row] + t
            at = token * dim + d
            if keep and t % CHUNK == 0:
                where = (chunk_at[row] + t // CHUNK) * states * width + d
                for n in range(states):
                    simd.store(saved, where + n * width, simd.load(h, n * LANES))
            step = simd.add(simd.load_live(delta, at, live), simd.load(bias, d))
            if softened:
                step = simd.softplus(step)
            x = simd.load_live(u, at, live)
            drive = simd.mul(step, x)
            out = simd.mul(x, simd.load(skip, d))
            if rates.ndim == 1:
                shared = simd.exp2(simd.mul(step, simd.load(rates, d)))
            for n in range(states):
                if rates.ndim == 1:
                    decay = shared
                else:
                    decay = simd.exp2(simd.mul(step, simd.load(rate, n * LANES)))
                gain = simd.splat(B[token, n])
                new = simd.fma(decay, simd.load(h, n * LANES), simd.mul(drive, gain))
                simd.store(h, n * LANES, new)
                out = simd.fma(new, simd.splat(C[token, n]), out)
            if gated:
                gate = simd.load_live(z, at, live)
                out = simd.mul(out, simd.mul(gate, simd.sigmoid(gate)))
            simd.store_live(y, at, live, out)
        for n in range(states):
            simd.store(state, home + n * width, simd.load(h, n * LANES))


@njit(**_OPTIONS)
def _recompute(
    token, count, d, live, u, delta, rates, B, C, bias, skip, softened,
    steps, drives, outs, decays, states, width,
):  # fmt: skip
    """Rerun one chunk of one strip from its saved state, which is in the first row of `states`."""
    dim, size = u.shape[1], B.shape[1]
    for i in range(count):
        at = (token + i) * dim + d
        step = simd.add(simd.load_live(delta, at, live), simd.load(bias, d))
        if softened:
            step = simd.softplus(step)
        x = simd.load_live(u, at, live)
        simd.store(steps, i * LANES, step)
        simd.store(drives, i * LANES, simd.mul(step, x))
        simd.store(outs, i * LANES, simd.mul(x, simd.load(skip, d)))
        if rates.ndim == 1:
            simd.store(decays, i * LANES, simd.exp2(simd.mul(step, simd.load(rates, d))))
    row = size * LANES
    for n in range(0, size, BLOCK):
        h0 = simd.load(states, n * LANES)
        h1 = simd.load(states, (n + 1) * LANES)
        h2 = simd.load(states, (n + 2) * LANES)
        h3 = simd.load(states, (n + 3) * LANES)
        if rates.ndim == 2:
            r0 = simd.load(rates, n * width + d)
            r1 = simd.load(rates, (n + 1) * width + d)
            r2 = simd.load(rates, (n + 2) * width + d)
            r3 = simd.load(rates, (n + 3) * width + d)
        for i in range(count):
            t, step, x = token + i, simd.load(steps, i * LANES), simd.load(drives, i * LANES)
            at, to = i * row + n * LANES, (i + 1) * row + n * LANES
            b0, b1 = simd.splat(B[t, n]), simd.splat(B[t, n + 1])
            b2, b3 = simd.splat(B[t, n + 2]), simd.splat(B[t, n + 3])
            if rates.ndim == 2:
                simd.store(decays, at, simd.exp2(simd.mul(step, r0)))
                simd.store(decays, at + LANES, simd.exp2(simd.mul(step, r1)))
                simd.store(decays, at + 2 * LANES, simd.exp2(simd.mul(step, r2)))
                simd.store(decays, at + 3 * LANES, simd.exp2(simd.mul(step, r3)))
                h0 = simd.fma(simd.load(decays, at), h0, simd.mul(x, b0))
                h1 = simd.fma(simd.load(decays, at + LANES), h1, simd.mul(x, b1))
                h2 = simd.fma(simd.load(decays, at + 2 * LANES), h2, simd.mul(x, b2))
                h3 = simd.fma(simd.load(decays, at + 3 * LANES), h3, simd.mul(x, b3))
            else:
                shared = simd.load(decays, i * LANES)
                h0 = simd.fma(shared, h0, simd.mul(x, b0))
                h1 = simd.fma(shared, h1, simd.mul(x, b1))
                h2 = simd.fma(shared, h2, simd.mul(x, b2))
                h3 = simd.fma(shared, h3, simd.mul(x, b3))
            simd.store(states, to, h0)
            simd.store(states, to + LANES, h1)
            simd.store(states, to + 2 * LANES, h2)
            simd.store(states, to + 3 * LANES, h3)
            out = simd.fma(h0, simd.splat(C[t, n]), simd.load(outs, i * LANES))
            out = simd.fma(h1, simd.splat(C[t, n + 1]), out)
            out = simd.fma(h2, simd.splat(C[t, n + 2]), out)
            simd.store(outs, i * LANES, simd.fma(h3, simd.splat(C[t, n + 3]), out))


@njit(**_OPTIONS)
def _gate(token, count, d, live, dim, grad_y, z, gated, outs, grads, grad_z):
    """Turn the gradient of y into that of the ungated output, kept in `grads`."""
    one = simd.splat(np.float32(1.0))
    for i in range(count):
        at = (token + i) * dim + d
        grad = simd.load_live(grad_y, at, live)
        if gated:
            gate = simd.load_live(z, at, live)
            half = simd.sigmoid(gate)
            slope = simd.mul(half, simd.fma(gate, simd.sub(one, half), one))
            out = simd.mul(grad, simd.load(outs, i * LANES))
            simd.store_live(grad_z, at, live, simd.mul(out, slope))
            grad = simd.mul(grad, simd.mul(gate, half))
        simd.store(grads, i * LANES, grad)


@njit(forceinline=True, **_OPTIONS)
def _retreat(read, grad, carry, decay, before, after, drive, sum_B, sum_C, at):
    """Walk one state one step back: return its adjoint, the new carry, d loss / d log decay."""
    adjoint = simd.fma(simd.splat(read), grad, carry)
    carry = simd.mul(decay, adjoint)
    simd.store(sum_B, at, simd.fma(adjoint, drive, simd.load(sum_B, at)))
    simd.store(sum_C, at, simd.fma(after, grad, simd.load(sum_C, at)))
    return adjoint, carry, simd.mul(carry, before)


@njit(**_OPTIONS)
def _walk_back(
    token, count, d, home, rates, B, C, steps, drives, grads, decays, states,
    gains, pulls, carry, grad_A, sum_B, sum_C, width,
):  # fmt: skip
    """Run the adjoint recurrence of one chunk of one strip.

    gains[i] becomes sum_n adjoint B, the gradient of the drive; pulls[i] the gradient of the step
    through the decay, times log2(e) (shared decays: before the multiplication with the rate).
    """
    size = B.shape[1]
    row = size * LANES
    zero = simd.splat(np.float32(0.0))
    for i in range(count):
        simd.store(gains, i * LANES, zero)
        simd.store(pulls, i * LANES, zero)
    for n in range(size):
        at_n = home + n * width
        back = simd.load(carry, at_n)
        total = zero
        if rates.ndim == 2:
            rate = simd.load(rates, n * width + d)
            total = simd.load(grad_A, at_n)
        for k in range(count):
            i = count - 1 - k
            t, at = token + i, i * row + n * LANES
            if rates.ndim == 2:
                decay = simd.load(decays, at)
            else:
                decay = simd.load(decays, i * LANES)
            grad = simd.load(grads, i * LANES)
            adjoint, back, slope = _retreat(
                C[t, n], grad, back, decay, simd.load(states, at), simd.load(states, at + row),
                simd.load(drives, i * LANES), sum_B, sum_C, at,
            )  # fmt: skip
            gain = simd.fma(adjoint, simd.splat(B[t, n]), simd.load(gains, i * LANES))
            simd.store(gains, i * LANES, gain)
            pull = simd.load(pulls, i * LANES)
            if rates.ndim == 2:
                total = simd.fma(slope, simd.load(steps, i * LANES), total)
                simd.store(pulls, i * LANES, simd.fma(slope, rate, pull))
            else:
                simd.store(pulls, i * LANES, simd.add(slope, pull))
        simd.store(carry, at_n, back)
        if rates.ndim == 2:
            simd.store(grad_A, at_n, total)


@njit(**_OPTIONS)
def _finish(
    token, count, d, live, row, u, delta, rates, bias, skip, softened, steps, grads, gains, pulls,
    grad_u, grad_delta, grad_A, grad_skip, grad_bias, width,
):  # fmt: skip
    """Write the gradients of the readings of one chunk of one strip; add up those of channels."""
    dim, ln2, at_row = u.shape[1], simd.splat(LN2), row * width + d
    total_skip, total_bias = simd.load(grad_skip, at_row), simd.load(grad_bias, at_row)
    for i in range(count):
        at = (token + i) * dim + d
        x, grad = simd.load_live(u, at, live), simd.load(grads, i * LANES)
        step, gain = simd.load(steps, i * LANES), simd.load(gains, i * LANES)
        pull = simd.load(pulls, i * LANES)
        if rates.ndim == 1:
            total = simd.load(grad_A, at_row)
            simd.store(grad_A, at_row, simd.fma(pull, step, total))
            pull = simd.mul(pull, simd.load(rates, d))
        slope = simd.fma(pull, ln2, simd.mul(gain, x))
        if softened:
            raw = simd.add(simd.load_live(delta, at, live), simd.load(bias, d))
            slope = simd.mul(slope, simd.sigmoid(raw))
        simd.store_live(grad_delta, at, live, slope)
        out = simd.fma(gain, step, simd.mul(grad, simd.load(skip, d)))
        simd.store_live(grad_u, at, live, out)
        total_bias = simd.add(total_bias, slope)
        total_skip = simd.fma(grad, x, total_skip)
    simd.store(grad_skip, at_row, total_skip)
    simd.store(grad_bias, at_row, total_bias)


@njit(**_OPTIONS)
def backward(
    first, last, part, strip_first, strip_last, starts, lengths, chunk_at, u, delta, rates, B, C,
    skip, z, bias, gated, softened, saved, grad_y,
    grad_u, grad_delta, grad_z, grad_A, grad_B, grad_C, grad_skip, grad_bias, carry,
):  # fmt: skip
    """Run rows [first, last) of the adjoint for some strips, last chunk first.

    `carry` comes in as the gradient of the last state and goes out as that of the initial one.
    Gradients of B and C add up lane by lane over the strips of a chunk, then over the lanes.
    """
    dim, size, width = u.shape[1], carry.shape[1], carry.shape[2]
    block = CHUNK * size * LANES
    states, decays = np.empty(block + size * LANES, np.float32), np.empty(block, np.float32)
    sum_B, sum_C = np.empty(block, np.float32), np.empty(block, np.float32)
    scratch = np.empty((6, CHUNK * LANES), np.float32)
    steps, drives, outs = scratch[0], scratch[1], scratch[2]
    grads, gains, pulls = scratch[3], scratch[4], scratch[5]
    for row in range(first, last):
        for k in range((lengths[row] + CHUNK - 1) // CHUNK):
            chunk = (lengths[row] + CHUNK - 1) // CHUNK - 1 - k
            token = starts[row] + chunk * CHUNK
            count = min(CHUNK, lengths[row] - chunk * CHUNK)
            sum_B[:] = 0.0
            sum_C[:] = 0.0
            for strip in range(strip_first, strip_last):
                d = strip * LANES
                live, home = min(LANES, dim - d), row * size * width + d
                kept = (chunk_at[row] + chunk) * size * width + d
                for n in range(size):
                    simd.store(states, n * LANES, simd.load(saved, kept + n * width))
                _recompute(
                    token, count, d, live, u, delta, rates, B, C, bias, skip, softened,
                    steps, drives, outs, decays, states, width,
                )  # fmt: skip
                _gate(token, count, d, live, dim, grad_y, z, gated, outs, grads, grad_z)
                _walk_back(
                    token, count, d, home, rates, B, C, steps, drives, grads, decays, states,
                    gains, pulls, carry, grad_A, sum_B, sum_C, width,
                )  # fmt: skip
                _finish(
                    token, count, d, live, row, u, delta, rates, bias, skip, softened, steps,
                    grads, gains, pulls, grad_u, grad_delta, grad_A, grad_skip, grad_bias, width,
                )  # fmt: skip
            for i in range(count):
                for n in range(size):
                    at = (i * size + n) * LANES
                    grad_B[part, token + i, n] = simd.lane_sum(simd.load(sum_B, at))
                    grad_C[part, token + i, n] = simd.lane_sum(simd.load(sum_C, at))
