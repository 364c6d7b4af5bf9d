"""The compiled loops of the causal convolution: strips of 16 channels, chunks of 16 steps."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from sensorssm_kernels import simd, simd_math
from sensorssm_kernels.scan_plan import CPU_CHUNK as CHUNK
from sensorssm_kernels.scan_plan import CPU_LANES as LANES

_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "boundscheck": False}


class Inputs(NamedTuple):
    """What forward and backward read: float32 arrays, int64 places of the rows, and a flag.

    x is [tokens, D]; weight [W, width], bias [width], padded to whole strips; state [rows, W - 1, D].
    """

    starts: Any
    lengths: Any
    x: Any
    weight: Any
    bias: Any
    state: Any
    activated: bool


@njit(**_OPTIONS)
def forward(row, strip_first, strip_last, c, y, last):
    """Convolve some strips of one row; `last` gets its last W - 1 readings."""
    before, dim, length = len(c.weight) - 1, c.x.shape[1], c.lengths[row]
    window = np.empty((CHUNK + before) * LANES, np.float32)
    for begin in range(0, length, CHUNK):
        for strip in range(strip_first, strip_last):
            _open_window(row, begin, strip, c, window, CHUNK)
            _write(row, begin, strip, c, window, y)
    for strip in range(strip_first, strip_last):
        live = min(LANES, dim - strip * LANES)
        _open_window(row, length, strip, c, window, 0)
        for i in range(before):
            at = (row * before + i) * dim + strip * LANES
            simd.store_live(last, at, live, simd.load(window, i * LANES))


@njit(**_OPTIONS)
def _open_window(row, begin, strip, c, window, ahead):
    """Fill the window with the W - 1 readings before a chunk, and with those of the chunk."""
    before, dim, d = len(c.weight) - 1, c.x.shape[1], strip * LANES
    x, state, live = c.x, c.state, min(LANES, dim - d)
    start, end = c.starts[row], min(c.lengths[row] - begin, CHUNK) + before
    early = min(before, max(0, before - begin))  # so many lie in the state
    for i in range(early):
        at = (row * before + begin + i) * dim + d
        simd.store(window, i * LANES, simd.load_live(state, at, live))
    for i in range(early, end):
        at = (start + begin + i - before) * dim + d
        simd.prefetch(x, at + ahead * dim)
        simd.store(window, i * LANES, simd.load_live(x, at, live))


@njit(**_OPTIONS)
def _write(row, begin, strip, c, window, y):
    """Write y of one chunk."""
    taps, width = c.weight.shape
    dim, d, weight, bias = y.shape[1], strip * LANES, c.weight, simd.load(c.bias, strip * LANES)
    live, activated, at = min(LANES, dim - d), c.activated, (c.starts[row] + begin) * dim + d
    for i in range(min(CHUNK, c.lengths[row] - begin)):
        out = bias
        for tap in range(taps):
            reading = simd.load(window, (i + tap) * LANES)
            out = simd.fma(reading, simd.load(weight, tap * width + d), out)
        if activated:
            out = simd.mul(out, simd_math.sigmoid(out))
        simd.prefetch_to_write(y, at + (i + CHUNK) * dim)
        simd.store_live(y, at + i * dim, live, out)


@njit(**_OPTIONS)
def backward(
    row, strip_first, strip_last, c, grad_y, grad_last, grad_x, grad_state, grad_weight, grad_bias
):
    """Write the gradients of some strips of one row, last chunk first.

    `slopes` holds the gradients of a chunk's sums, and behind them those of the W - 1 steps after
    it, strip by strip: a reading reaches that far.
    """
    before, length = len(c.weight) - 1, c.lengths[row]
    window = np.empty((CHUNK + before) * LANES, np.float32)
    slopes = np.zeros((strip_last - strip_first, (CHUNK + before) * LANES), np.float32)
    for chunk in range((length + CHUNK - 1) // CHUNK - 1, -1, -1):
        for strip in range(strip_first, strip_last):
            mine = slopes[strip - strip_first]
            _open_window(row, chunk * CHUNK, strip, c, window, -CHUNK)
            _find_slopes(row, chunk * CHUNK, strip, c, window, grad_y, mine)
            _add_weights(row, chunk * CHUNK, strip, c, window, mine, grad_weight, grad_bias)
            _spread_back(row, chunk * CHUNK, strip, c, mine, grad_last, grad_x)
            for i in range(before - 1, -1, -1):
                simd.store(mine, (CHUNK + i) * LANES, simd.load(mine, i * LANES))
    for strip in range(strip_first, strip_last):
        _spread_to_state(row, strip, c, slopes[strip - strip_first], grad_last, grad_state)


@njit(**_OPTIONS)
def _find_slopes(row, begin, strip, c, window, grad_y, slopes):
    """Fill a chunk's slopes: the gradients of the sums before the activation."""
    taps, width = c.weight.shape
    dim, d, weight, bias = (
        grad_y.shape[1],
        strip * LANES,
        c.weight,
        simd.load(c.bias, strip * LANES),
    )
    live, activated, at = min(LANES, dim - d), c.activated, (c.starts[row] + begin) * dim + d
    one = simd.splat(np.float32(1.0))
    for i in range(min(CHUNK, c.lengths[row] - begin)):
        simd.prefetch(grad_y, at + (i - CHUNK) * dim)
        slope = simd.load_live(grad_y, at + i * dim, live)
        if activated:
            out = bias
            for tap in range(taps):
                reading = simd.load(window, (i + tap) * LANES)
                out = simd.fma(reading, simd.load(weight, tap * width + d), out)
            half = simd_math.sigmoid(out)
            slope = simd.mul(slope, simd.mul(half, simd.fma(out, simd.sub(one, half), one)))
        simd.store(slopes, i * LANES, slope)


@njit(**_OPTIONS)
def _add_weights(row, begin, strip, c, window, slopes, grad_weight, grad_bias):
    """Add a chunk's part to the row's gradients of weight and bias."""
    (taps, width), d = c.weight.shape, strip * LANES
    count = min(CHUNK, c.lengths[row] - begin)
    total = simd.load(grad_bias, row * width + d)
    for i in range(count):
        total = simd.add(total, simd.load(slopes, i * LANES))
    simd.store(grad_bias, row * width + d, total)
    for tap in range(taps):
        at = (row * taps + tap) * width + d
        total = simd.load(grad_weight, at)
        for i in range(count):
            reading = simd.load(window, (i + tap) * LANES)
            total = simd.fma(reading, simd.load(slopes, i * LANES), total)
        simd.store(grad_weight, at, total)


@njit(**_OPTIONS)
def _spread_back(row, begin, strip, c, slopes, grad_last, grad_x):
    """Write a chunk's gradients of x: what each reading gave to its own step and those after."""
    (taps, width), dim, d = c.weight.shape, grad_x.shape[1], strip * LANES
    live, weight, left = min(LANES, dim - d), c.weight, c.lengths[row] - begin
    at = (c.starts[row] + begin) * dim + d
    for i in range(min(CHUNK, left)):
        grad = simd.splat(np.float32(0.0))
        if left - i < taps:
            kept = (row + 1) * (taps - 1) - left + i
            grad = simd.load_live(grad_last, kept * dim + d, live)
        for tap in range(taps):
            slope = simd.load(slopes, (i + taps - 1 - tap) * LANES)
            grad = simd.fma(slope, simd.load(weight, tap * width + d), grad)
        simd.prefetch_to_write(grad_x, at + (i - CHUNK) * dim)
        simd.store_live(grad_x, at + i * dim, live, grad)


@njit(**_OPTIONS)
def _spread_to_state(row, strip, c, slopes, grad_last, grad_state):
    """Write the gradients of the readings before the row; a short row passes some on to `last`."""
    (taps, width), dim, d = c.weight.shape, c.x.shape[1], strip * LANES
    live = min(LANES, dim - d)
    for i in range(taps - 1):
        grad = simd.splat(np.float32(0.0))
        if i >= c.lengths[row]:
            at = row * (taps - 1) + i - c.lengths[row]
            grad = simd.load_live(grad_last, at * dim + d, live)
        for tap in range(i + 1):
            slope = simd.load(slopes, (CHUNK + i - tap) * LANES)
            grad = simd.fma(slope, simd.load(c.weight, tap * width + d), grad)
        simd.store_live(grad_state, (row * (taps - 1) + i) * dim + d, live, grad)
