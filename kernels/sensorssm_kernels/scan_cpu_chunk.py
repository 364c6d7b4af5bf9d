"""What both CPU scans do with a chunk of one strip: readings in, gate, outputs and gradients out.

A strip is 16 channels. Its vectors of a chunk lie in one flat array, CHUNK vectors each: steps,
drives (step times u), outs, decays (where all states share one), grads of the outs, gains and
pulls. Readings are [tokens, D]: their loads take the number of live lanes, and the next chunk's
lines are asked for ahead, for no prefetcher sees through the stride of D.

numba caches a compiled loop until the file of that loop changes: after an edit here, in `simd*.py`
or in `scan_plan.py` delete `__pycache__`, or the loops of other files stay as they were.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportPossiblyUnboundVariable=false
from __future__ import annotations

import numpy as np
from numba import njit

from sensorssm_kernels import simd, simd_math
from sensorssm_kernels.scan_plan import CPU_BLOCK as BLOCK
from sensorssm_kernels.scan_plan import CPU_CHUNK as CHUNK
from sensorssm_kernels.scan_plan import CPU_LANES as LANES

LN2 = np.float32(0.6931471805599453)
TILE = BLOCK * LANES
STEPS, DRIVES, OUTS, DECAYS, GRADS, GAINS, PULLS = (i * CHUNK * LANES for i in range(7))
SCRATCH = 7 * CHUNK * LANES
OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "boundscheck": False}


@njit(**OPTIONS)
def count_chunks(row, x):
    """Return how many chunks cover a row."""
    return (x.lengths[row] + CHUNK - 1) // CHUNK


@njit(**OPTIONS)
def locate(row, chunk, x):
    """Return the first token of a row's chunk, and how many it has."""
    return x.starts[row] + chunk * CHUNK, min(CHUNK, x.lengths[row] - chunk * CHUNK)


@njit(**OPTIONS)
def prepare(token, count, strip, x, scratch, ahead):
    """Fill a chunk's steps, drives (step times u), outs (what passes by the state), decays."""
    dim, d = x.u.shape[1], strip * LANES
    live = min(LANES, dim - d)
    bias, skip = simd.load(x.bias, d), simd.load(x.skip, d)
    for i in range(count):
        at, to = (token + i) * dim + d, i * LANES
        simd.prefetch(x.delta, at + ahead * dim)
        simd.prefetch(x.u, at + ahead * dim)
        step = simd.add(simd.load_live(x.delta, at, live), bias)
        if x.softened:
            step = simd_math.softplus(step)
        u = simd.load_live(x.u, at, live)
        simd.store(scratch, STEPS + to, step)
        simd.store(scratch, DRIVES + to, simd.mul(step, u))
        simd.store(scratch, OUTS + to, simd.mul(u, skip))
        if x.rates.ndim == 1:
            simd.store(scratch, DECAYS + to, simd_math.exp2(simd.mul(step, simd.load(x.rates, d))))


@njit(**OPTIONS)
def matrix(matrix, token, strip, n):
    """Return a tile of B or C: splats of one token's floats, or channels of a fixed matrix."""
    size = matrix.shape[1]
    if matrix.ndim == 2:
        return simd.spread(matrix, token * size + n)
    return simd.load_tile(matrix, (strip * size + n) * LANES)


@njit(**OPTIONS)
def write(token, count, strip, x, scratch, y):
    """Gate the outs of a chunk and write them."""
    dim, d = x.u.shape[1], strip * LANES
    live = min(LANES, dim - d)
    for i in range(count):
        at = (token + i) * dim + d
        out = simd.load(scratch, OUTS + i * LANES)
        simd.prefetch_to_write(y, at + CHUNK * dim)
        if x.gated:
            simd.prefetch(x.z, at + CHUNK * dim)
            z = simd.load_live(x.z, at, live)
            out = simd.mul(out, simd.mul(z, simd_math.sigmoid(z)))
        simd.store_live(y, at, live, out)


@njit(**OPTIONS)
def ungate(token, count, strip, x, scratch, grad_y):
    """Fill a chunk's grads, those of the outs before the gate; gains and pulls begin at zero."""
    dim, d = x.u.shape[1], strip * LANES
    live, zero = min(LANES, dim - d), simd.splat(np.float32(0.0))
    for i in range(count):
        at, to = (token + i) * dim + d, i * LANES
        simd.prefetch(grad_y, at - CHUNK * dim)
        grad = simd.load_live(grad_y, at, live)
        if x.gated:
            simd.prefetch(x.z, at - CHUNK * dim)
            z = simd.load_live(x.z, at, live)
            grad = simd.mul(grad, simd.mul(z, simd_math.sigmoid(z)))
        simd.store(scratch, GRADS + to, grad)
        simd.store(scratch, GAINS + to, zero)
        simd.store(scratch, PULLS + to, zero)


@njit(**OPTIONS)
def add_quarters(sums, at, tile):
    """Add the `quarter_sums` of a tile to the vector in `sums` from element `at` on."""
    simd.store(sums, at, simd.add(simd.load(sums, at), simd.quarter_sums(tile)))


@njit(**OPTIONS)
def write_quarters(sums, token, count, size, first, out):
    """Write a chunk's sums over channels, added up by `add_quarters`, from token `first` of `out`."""
    for i in range(count):
        for n in range(0, size, BLOCK):
            to = (first + token + i) * size + n
            simd.store_sums(out, to, simd.load(sums, (i * size + n) * BLOCK))


@njit(**OPTIONS)
def finish(token, count, strip, row, x, scratch, grad_y, grads):
    """Write the gradients of the readings of a chunk; add up those of the strip's channels."""
    dim, d, one = x.u.shape[1], strip * LANES, simd.splat(np.float32(1.0))
    live, at_row, ln2 = min(LANES, dim - d), row * len(x.skip) + d, simd.splat(LN2)
    bias, skip = simd.load(x.bias, d), simd.load(x.skip, d)
    total_skip, total_bias = simd.load(grads.skip, at_row), simd.load(grads.bias, at_row)
    for i in range(count):
        at, to = (token + i) * dim + d, i * LANES
        u, grad = simd.load_live(x.u, at, live), simd.load(scratch, GRADS + to)
        step, gain = simd.load(scratch, STEPS + to), simd.load(scratch, GAINS + to)
        pull = simd.load(scratch, PULLS + to)
        if x.rates.ndim == 1:
            simd.store(grads.A, at_row, simd.fma(pull, step, simd.load(grads.A, at_row)))
            pull = simd.mul(pull, simd.load(x.rates, d))
        slope = simd.fma(pull, ln2, simd.mul(gain, u))
        if x.softened:
            slope = simd.mul(
                slope, simd_math.sigmoid(simd.add(simd.load_live(x.delta, at, live), bias))
            )
        simd.prefetch_to_write(grads.delta, at - CHUNK * dim)
        simd.prefetch_to_write(grads.u, at - CHUNK * dim)
        simd.store_live(grads.delta, at, live, slope)
        simd.store_live(grads.u, at, live, simd.fma(gain, step, simd.mul(grad, skip)))
        total_bias = simd.add(total_bias, slope)
        total_skip = simd.fma(grad, u, total_skip)
        if x.gated:
            z = simd.load_live(x.z, at, live)
            half = simd_math.sigmoid(z)
            slope = simd.mul(half, simd.fma(z, simd.sub(one, half), one))
            out = simd.mul(simd.load_live(grad_y, at, live), simd.load(scratch, OUTS + to))
            simd.prefetch_to_write(grads.z, at - CHUNK * dim)
            simd.store_live(grads.z, at, live, simd.mul(out, slope))
    simd.store(grads.skip, at_row, total_skip)
    simd.store(grads.bias, at_row, total_bias)
