"""The compiled loops of the CPU scan: strips of 16 channels, tiles of 4 states.

A strip's B and C are splats, so the scan has no horizontal sum. A row is walked in chunks of
CHUNK steps, of which each strip makes its way before the next chunk; within a chunk one tile of
states goes from end to end in registers before the next tile. What belongs to states lies strip
by strip, [strips, N, 16], so that a tile is 64 neighbouring floats. Rates arrive times log2(e).
What happens to readings is in `scan_cpu_chunk`.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportPossiblyUnboundVariable=false
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sensorssm_kernels import simd, simd_math
from sensorssm_kernels.scan_cpu_chunk import (
    BLOCK,
    CHUNK,
    DECAYS,
    DRIVES,
    GAINS,
    GRADS,
    LANES,
    OPTIONS,
    OUTS,
    PULLS,
    SCRATCH,
    STEPS,
    TILE,
    add_quarters,
    count_chunks,
    finish,
    locate,
    matrix,
    prepare,
    ungate,
    write,
    write_quarters,
)

Array = Any  # a numpy array in the loops, the tensor over the same memory around them


class Inputs(NamedTuple):
    """What forward and backward read: float32 arrays, int64 places of the rows, and flags.

    u, delta, z are [tokens, D]; rates [strips, N, 16], or [width] when all states share one; B and
    C [tokens, N], or [strips, N, 16] when fixed in time; skip, bias [width].
    """

    starts: Array
    lengths: Array
    chunk_at: Array
    u: Array
    delta: Array
    rates: Array
    B: Array
    C: Array
    skip: Array
    z: Array
    bias: Array
    gated: bool
    softened: bool


class Grads(NamedTuple):
    """What the backward writes: readings like the inputs, the rest row by row or part by part.

    B and C are [parts, tokens, N], or [rows, strips, N, 16] when fixed; `carry` comes in as the
    gradient of the last state, [rows, strips, N, 16], and goes out as that of the initial one.
    """

    u: Array
    delta: Array
    z: Array
    A: Array
    B: Array
    C: Array
    skip: Array
    bias: Array
    carry: Array


@njit(**OPTIONS)
def forward(row, strip_first, strip_last, x, y, state, saved, keep):
    """Run some strips of one row. `state` is updated; `saved` gets each chunk's first, if kept."""
    strips, size = state.shape[1], state.shape[2]
    scratch = np.empty(SCRATCH, np.float32)
    for chunk in range(count_chunks(row, x)):
        token, count = locate(row, chunk, x)
        for strip in range(strip_first, strip_last):
            home = (row * strips + strip) * size * LANES
            kept = ((x.chunk_at[row] + chunk) * strips + strip) * size * LANES
            prepare(token, count, strip, x, scratch, CHUNK)
            for n in range(0, size, BLOCK):
                h = simd.load_tile(state, home + n * LANES)
                if keep:
                    simd.store(saved, kept + n * LANES, h)
                h = _advance(token, count, strip, n, x, scratch, h)
                simd.store(state, home + n * LANES, h)
            write(token, count, strip, x, scratch, y)


@njit(**OPTIONS)
def _advance(token, count, strip, n, x, scratch, h):
    """Walk one tile of states through a chunk: add to outs, return the last states."""
    if x.rates.ndim == 3:
        rate = simd.load_tile(x.rates, (strip * x.B.shape[1] + n) * LANES)
    for i in range(count):
        to = i * LANES
        drive = simd.mul(simd.load(scratch, DRIVES + to), matrix(x.B, token + i, strip, n))
        if x.rates.ndim == 3:
            h = simd.fma(simd_math.exp2(simd.mul(simd.load(scratch, STEPS + to), rate)), h, drive)
        else:
            h = simd.fma(simd.load(scratch, DECAYS + to), h, drive)
        out = simd.dot(h, matrix(x.C, token + i, strip, n), simd.load(scratch, OUTS + to))
        simd.store(scratch, OUTS + to, out)
    return h


@njit(**OPTIONS)
def backward(row, part, strip_first, strip_last, x, saved, grad_y, grads):
    """Run the adjoint of some strips of one row, last chunk first.

    The states of a chunk are rerun from its first, tile by tile, and walked back at once.
    Gradients of B and C add up over the strips of the part, quarter by quarter of the lanes.
    """
    strips, size, tokens = grads.carry.shape[1], grads.carry.shape[2], x.u.shape[0]
    scratch, sums = np.empty(SCRATCH, np.float32), np.empty((2, CHUNK * size * BLOCK), np.float32)
    decays, path = np.empty(CHUNK * TILE, np.float32), np.empty(CHUNK * TILE, np.float32)
    for chunk in range(count_chunks(row, x) - 1, -1, -1):
        token, count = locate(row, chunk, x)
        sums[:] = 0.0
        for strip in range(strip_first, strip_last):
            home = (row * strips + strip) * size * LANES
            kept = ((x.chunk_at[row] + chunk) * strips + strip) * size * LANES
            prepare(token, count, strip, x, scratch, -CHUNK)
            ungate(token, count, strip, x, scratch, grad_y)
            for n in range(0, size, BLOCK):
                h = simd.load_tile(saved, kept + n * LANES)
                _retrace(token, count, strip, n, home, x, scratch, decays, path, sums[1], grads, h)
                _walk_back(token, count, strip, n, home, x, scratch, decays, path, sums[0], grads)
            finish(token, count, strip, row, x, scratch, grad_y, grads)
        if x.B.ndim == 2:
            write_quarters(sums[0], token, count, size, part * tokens, grads.B)
        if x.C.ndim == 2:
            write_quarters(sums[1], token, count, size, part * tokens, grads.C)


@njit(**OPTIONS)
def _retrace(token, count, strip, n, home, x, scratch, decays, path, sums, grads, h):
    """Rerun a chunk of one tile: keep its decays and states, add to outs and to C's gradient."""
    size, at_n = x.B.shape[1], home + n * LANES
    if x.rates.ndim == 3:
        rate = simd.load_tile(x.rates, (strip * size + n) * LANES)
    if x.C.ndim == 3:
        total = simd.load_tile(grads.C, at_n)
    for i in range(count):
        to = i * LANES
        simd.store(path, i * TILE, h)
        drive = simd.mul(simd.load(scratch, DRIVES + to), matrix(x.B, token + i, strip, n))
        if x.rates.ndim == 3:
            decay = simd_math.exp2(simd.mul(simd.load(scratch, STEPS + to), rate))
            simd.store(decays, i * TILE, decay)
            h = simd.fma(decay, h, drive)
        else:
            h = simd.fma(simd.load(scratch, DECAYS + to), h, drive)
        out = simd.dot(h, matrix(x.C, token + i, strip, n), simd.load(scratch, OUTS + to))
        simd.store(scratch, OUTS + to, out)
        read = simd.mul(h, simd.load(scratch, GRADS + to))
        if x.C.ndim == 3:
            total = simd.add(total, read)
        else:
            add_quarters(sums, (i * size + n) * BLOCK, read)
    if x.C.ndim == 3:
        simd.store(grads.C, at_n, total)


@njit(**OPTIONS)
def _walk_back(token, count, strip, n, home, x, scratch, decays, path, sums, grads):
    """Run the adjoint recurrence of a chunk of one tile.

    A gain gathers sum_n adjoint B, the gradient of the drive; a pull the gradient of the step
    through the decay, times log2(e) (shared decays: before the multiplication with the rate).
    """
    size, at_n = x.B.shape[1], home + n * LANES
    carry = simd.load_tile(grads.carry, at_n)
    if x.rates.ndim == 3:
        rate = simd.load_tile(x.rates, (strip * size + n) * LANES)
        total = simd.load_tile(grads.A, at_n)
    if x.B.ndim == 3:
        total_B = simd.load_tile(grads.B, at_n)
    for i in range(count - 1, -1, -1):
        to = i * LANES
        read = simd.mul(matrix(x.C, token + i, strip, n), simd.load(scratch, GRADS + to))
        adjoint = simd.add(read, carry)
        driven = simd.mul(adjoint, simd.load(scratch, DRIVES + to))
        if x.B.ndim == 3:
            total_B = simd.add(total_B, driven)
        else:
            add_quarters(sums, (i * size + n) * BLOCK, driven)
        gain = simd.dot(adjoint, matrix(x.B, token + i, strip, n), simd.load(scratch, GAINS + to))
        simd.store(scratch, GAINS + to, gain)
        before, pull = simd.load_tile(path, i * TILE), simd.load(scratch, PULLS + to)
        if x.rates.ndim == 3:
            carry = simd.mul(simd.load_tile(decays, i * TILE), adjoint)
            slope = simd.mul(carry, before)
            total = simd.fma(slope, simd.load(scratch, STEPS + to), total)
            simd.store(scratch, PULLS + to, simd.dot(slope, rate, pull))
        else:
            carry = simd.mul(simd.load(scratch, DECAYS + to), adjoint)
            simd.store(scratch, PULLS + to, simd.dot(carry, before, pull))
    simd.store(grads.carry, at_n, carry)
    if x.rates.ndim == 3:
        simd.store(grads.A, at_n, total)
    if x.B.ndim == 3:
        simd.store(grads.B, at_n, total_B)
