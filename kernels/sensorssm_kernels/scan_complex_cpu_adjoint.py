"""The compiled adjoint of the CPU scan with complex rates; its layout is `scan_complex_cpu_loops`'.

Gradients are those of the real and of the imaginary part. After an edit of a function that comes
from another file delete `__pycache__`: numba's cache does not see it.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportPossiblyUnboundVariable=false
from __future__ import annotations

import numpy as np
from numba import njit

from sensorssm_kernels import simd
from sensorssm_kernels.scan_complex_cpu_loops import move
from sensorssm_kernels.scan_cpu_chunk import (
    BLOCK,
    CHUNK,
    DRIVES,
    GAINS,
    GRADS,
    LANES,
    OPTIONS,
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
    write_quarters,
)

TURN = np.float32(2 * np.pi / np.log(2))  # from a gradient by turns to one by powers of 2


@njit(**OPTIONS)
def backward(row, part, strip_first, strip_last, x, saved, grad_y, grads):
    """Run the adjoint of some strips of one row, last chunk first, as with real rates."""
    strips, size = grads.carry.shape[2:4]
    tokens = x.u.shape[0]
    scratch = np.empty(SCRATCH + CHUNK * LANES, np.float32)
    decays, path = np.empty(CHUNK * 2 * TILE, np.float32), np.empty(CHUNK * 2 * TILE, np.float32)
    sums = np.empty((4, CHUNK * size * BLOCK), np.float32)
    for chunk in range(count_chunks(row, x) - 1, -1, -1):
        token, count = locate(row, chunk, x)
        sums[:] = 0.0
        for strip in range(strip_first, strip_last):
            kept = ((x.chunk_at[row] + chunk) * strips + strip) * 2 * size * LANES
            prepare(token, count, strip, x, scratch, -CHUNK)
            ungate(token, count, strip, x, scratch, grad_y)
            scratch[SCRATCH:] = 0.0
            for n in range(0, size, BLOCK):
                home = ((row * strips + strip) * size + n) * LANES
                _retrace(
                    token, count, strip, n, home, x, scratch, decays, path, sums, grads,
                    saved, kept + 2 * n * LANES,
                )  # fmt: skip
                _walk_back(token, count, strip, n, home, x, scratch, decays, path, sums, grads)
            _join_pulls(count, scratch)
            finish(token, count, strip, row, x, scratch, grad_y, grads)
        for k in range(2):
            if x.B.ndim == 2:
                first = (k * grads.B.shape[1] + part) * tokens
                write_quarters(sums[k], token, count, size, first, grads.B)
            if x.C.ndim == 2:
                first = (k * grads.C.shape[1] + part) * tokens
                write_quarters(sums[2 + k], token, count, size, first, grads.C)


@njit(**OPTIONS)
def _retrace(token, count, strip, n, home, x, scratch, decays, path, sums, grads, saved, first):
    """Rerun a chunk of one tile: keep its decays and states, add to outs and to C's gradient."""
    size, plane = x.B.shape[1], grads.carry.size // 2
    at = (strip * size + n) * LANES
    rate, turn = simd.load_tile(x.rates, at), simd.load_tile(x.turns, at)
    real, imag = simd.load_tile(saved, first), simd.load_tile(saved, first + TILE)
    if x.C.ndim == 3:
        total, total_imag = simd.load_tile(grads.C, home), simd.load_tile(grads.C, plane + home)
    for i in range(count):
        at = i * 2 * TILE
        simd.store(path, at, real)
        simd.store(path, at + TILE, imag)
        cos, sin, real, imag = move(token, i, strip, n, x, scratch, rate, turn, real, imag)
        simd.store(decays, at, cos)
        simd.store(decays, at + TILE, sin)
        grad = simd.load(scratch, GRADS + i * LANES)
        read, read_imag = simd.mul(real, grad), simd.mul(imag, grad)
        if x.C.ndim == 3:
            total, total_imag = simd.add(total, read), simd.add(total_imag, read_imag)
        else:
            add_quarters(sums[2], (i * size + n) * BLOCK, read)
            add_quarters(sums[3], (i * size + n) * BLOCK, read_imag)
    if x.C.ndim == 3:
        simd.store(grads.C, home, total)
        simd.store(grads.C, plane + home, total_imag)


@njit(**OPTIONS)
def _walk_back(token, count, strip, n, home, x, scratch, decays, path, sums, grads):
    """Run the adjoint recurrence of a chunk of one tile: the conjugate decay, backwards."""
    size, plane = x.B.shape[1], grads.carry.size // 2
    at = (strip * size + n) * LANES
    rate, turn = simd.load_tile(x.rates, at), simd.load_tile(x.turns, at)
    carry, carry_imag = simd.load_tile(grads.carry, home), simd.load_tile(grads.carry, plane + home)
    total, total_imag = simd.load_tile(grads.A, home), simd.load_tile(grads.A, plane + home)
    if x.B.ndim == 3:
        total_B, total_B_imag = simd.load_tile(grads.B, home), simd.load_tile(grads.B, plane + home)
    for i in range(count - 1, -1, -1):
        to, at = i * LANES, i * 2 * TILE
        grad, drive = simd.load(scratch, GRADS + to), simd.load(scratch, DRIVES + to)
        real = simd.fma(matrix(x.C, token + i, strip, n), grad, carry)
        imag = simd.fma(matrix(x.C_imag, token + i, strip, n), grad, carry_imag)
        driven, driven_imag = simd.mul(real, drive), simd.mul(imag, drive)
        if x.B.ndim == 3:
            total_B, total_B_imag = simd.add(total_B, driven), simd.add(total_B_imag, driven_imag)
        else:
            add_quarters(sums[0], (i * size + n) * BLOCK, driven)
            add_quarters(sums[1], (i * size + n) * BLOCK, driven_imag)
        gain = simd.dot(real, matrix(x.B, token + i, strip, n), simd.load(scratch, GAINS + to))
        gain = simd.dot(imag, matrix(x.B_imag, token + i, strip, n), gain)
        simd.store(scratch, GAINS + to, gain)
        cos, sin = simd.load_tile(decays, at), simd.load_tile(decays, at + TILE)
        carry = simd.fma(cos, real, simd.mul(sin, imag))
        carry_imag = simd.sub(simd.mul(cos, imag), simd.mul(sin, real))
        before, before_imag = simd.load_tile(path, at), simd.load_tile(path, at + TILE)
        slope = simd.fma(carry, before, simd.mul(carry_imag, before_imag))
        spin = simd.sub(simd.mul(carry_imag, before), simd.mul(carry, before_imag))
        step = simd.load(scratch, STEPS + to)
        total, total_imag = simd.fma(slope, step, total), simd.fma(spin, step, total_imag)
        pull = simd.dot(slope, rate, simd.load(scratch, PULLS + to))
        simd.store(scratch, PULLS + to, pull)
        turned = simd.dot(spin, turn, simd.load(scratch, SCRATCH + to))
        simd.store(scratch, SCRATCH + to, turned)
    simd.store(grads.carry, home, carry)
    simd.store(grads.carry, plane + home, carry_imag)
    simd.store(grads.A, home, total)
    simd.store(grads.A, plane + home, total_imag)
    if x.B.ndim == 3:
        simd.store(grads.B, home, total_B)
        simd.store(grads.B, plane + home, total_B_imag)


@njit(**OPTIONS)
def _join_pulls(count, scratch):
    """Add what pulls a step through the angles to what pulls it through the decays."""
    for i in range(count):
        to = i * LANES
        turned = simd.mul(simd.splat(TURN), simd.load(scratch, SCRATCH + to))
        simd.store(scratch, PULLS + to, simd.add(simd.load(scratch, PULLS + to), turned))
