"""The compiled loops of the CPU scan with complex rates: two real tiles for every complex one.

The walk is that of `scan_cpu_loops`, and `scan_complex_cpu_adjoint` walks it back. A rate has two
parts, its decay times log2(e) and its turns, the angle over 2 pi; what belongs to states is held
as real parts and imaginary parts, one plane after the other. C arrives doubled, for the pair of
conjugates that a state stands for, and conjugated, so that y is a plain sum over both planes.
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
    DRIVES,
    LANES,
    OPTIONS,
    OUTS,
    SCRATCH,
    STEPS,
    TILE,
    count_chunks,
    locate,
    matrix,
    prepare,
    write,
)


class Inputs(NamedTuple):
    """What forward and backward read; `rates` and `turns` are [strips, N, 16], the rest as there.

    B and C are the real parts, B_imag and C_imag the imaginary ones, of the same shapes.
    """

    starts: Any
    lengths: Any
    chunk_at: Any
    u: Any
    delta: Any
    rates: Any
    turns: Any
    B: Any
    B_imag: Any
    C: Any
    C_imag: Any
    skip: Any
    z: Any
    bias: Any
    gated: bool
    softened: bool


@njit(**OPTIONS)
def forward(row, strip_first, strip_last, x, y, state, saved, keep):
    """Run some strips of one row. `state`, [2, rows, strips, N, 16], is updated."""
    rows, strips, size = state.shape[1:4]
    plane = rows * strips * size * LANES
    scratch = np.empty(SCRATCH, np.float32)
    for chunk in range(count_chunks(row, x)):
        token, count = locate(row, chunk, x)
        for strip in range(strip_first, strip_last):
            kept = ((x.chunk_at[row] + chunk) * strips + strip) * 2 * size * LANES
            prepare(token, count, strip, x, scratch, CHUNK)
            for n in range(0, size, BLOCK):
                home = ((row * strips + strip) * size + n) * LANES
                if keep:
                    at = kept + 2 * n * LANES
                    simd.store(saved, at, simd.load_tile(state, home))
                    simd.store(saved, at + TILE, simd.load_tile(state, plane + home))
                _advance(token, count, strip, n, x, scratch, state, home, plane)
            write(token, count, strip, x, scratch, y)


@njit(forceinline=True, **OPTIONS)
def move(token, i, strip, n, x, scratch, rate, turn, real, imag):
    """Take one step with one tile of states: add to its out, return its decay and the states."""
    step, drive = simd.load(scratch, STEPS + i * LANES), simd.load(scratch, DRIVES + i * LANES)
    size = simd_math.exp2(simd.mul(step, rate))
    cos = simd.mul(size, simd_math.cos_turns(step, turn))
    sin = simd.mul(size, simd_math.sin_turns(step, turn))
    driven = simd.mul(drive, matrix(x.B, token + i, strip, n))
    driven_imag = simd.mul(drive, matrix(x.B_imag, token + i, strip, n))
    before = real
    real = simd.sub(simd.fma(cos, real, driven), simd.mul(sin, imag))
    imag = simd.fma(cos, imag, simd.fma(sin, before, driven_imag))
    out = simd.dot(real, matrix(x.C, token + i, strip, n), simd.load(scratch, OUTS + i * LANES))
    out = simd.dot(imag, matrix(x.C_imag, token + i, strip, n), out)
    simd.store(scratch, OUTS + i * LANES, out)
    return cos, sin, real, imag


@njit(**OPTIONS)
def _advance(token, count, strip, n, x, scratch, state, home, plane):
    """Walk one tile of states through a chunk: add to outs, leave the last states in `state`."""
    at = (strip * x.B.shape[1] + n) * LANES
    rate, turn = simd.load_tile(x.rates, at), simd.load_tile(x.turns, at)
    real, imag = simd.load_tile(state, home), simd.load_tile(state, plane + home)
    for i in range(count):
        _, _, real, imag = move(token, i, strip, n, x, scratch, rate, turn, real, imag)
    simd.store(state, home, real)
    simd.store(state, plane + home, imag)
