"""What the complex scan's Triton kernels share: the tiles of `scan_tiles_triton` in pairs.

Real and imaginary parts are two [T, NR, NL, BD] tiles: a step of the walk is four multiply-adds a
state, with no exchange between lanes. B, C and kept states lie in memory as two planes, all real
parts before all imaginary ones; rates and the states of a call as pairs, as torch has them.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import LOG2E, hold, put_row, row_of
from sensorssm_kernels.scan_tiles_triton import load_channels, load_matrix, number_states

_MAGIC = tl.constexpr(12582912.0)  # 1.5 * 2**23: adding it rounds a float32 to a whole number
_INV_PI = tl.constexpr(0.3183098861837907)


@triton.jit
def load_pair(ptr, at, live):
    """Return the real and the imaginary parts that lie side by side in memory."""
    real = tl.load(ptr + 2 * at, mask=live, other=0.0)
    return real, tl.load(ptr + 2 * at + 1, mask=live, other=0.0)


@triton.jit
def store_pair(ptr, at, real, imag, live):
    """Store real and imaginary parts side by side."""
    tl.store(ptr + 2 * at, real, mask=live)
    tl.store(ptr + 2 * at + 1, imag, mask=live)


@triton.jit
def own_pairs(
    A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP: tl.constexpr, HAS_BIAS: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return the program's channels d and states n, where their states are and which exist; its
    rates times log2(e), real and imaginary; D_skip and bias.
    """
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = number_states(N, NL)
    live = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    own = d[None, None, :] * STATES + n[:, :, None]
    rate, spin = load_pair(A_ptr, own, live)
    skip = load_channels(skip_ptr, d, HAS_SKIP, DIM)
    bias = load_channels(bias_ptr, d, HAS_BIAS, DIM)
    return d, n, row * DIM * STATES + own, live, rate * LOG2E, spin * LOG2E, skip, bias


@triton.jit
def load_still(ptr, d, n, FIXED: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr):
    """Return both parts of a B or C that is fixed in time, [1, NR, NL, BD]; nothing of others."""
    if FIXED:
        return _load_parts(ptr, DIM * STATES, d, n, d, 0, True, False, DIM, STATES, 1)
    else:
        return 0.0, 0.0


@triton.jit
def load_moving(
    ptr, plane, still, d, n, t, left, FIXED: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Return both parts of B or C of one block, [T, NR, NL, 1]; `still` if they do not change."""
    if FIXED:
        return still
    else:
        return _load_parts(ptr, plane, d, n, t, left, False, RAGGED_END, DIM, STATES, N)


@triton.jit
def _load_parts(
    ptr, plane, d, n, t, left, FIXED: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    real = load_matrix(ptr, d, n, t, left, FIXED, RAGGED_END, DIM, STATES, N)
    return real, load_matrix(ptr + plane, d, n, t, left, FIXED, RAGGED_END, DIM, STATES, N)


@triton.jit
def decay_pair(step, rate, spin):
    """Return the real and the imaginary part of exp(step A) of a block, [T, NR, NL, BD].

    The angle is counted in half turns: the nearest whole number of them is a sign, what is left
    (of the exact product, by one multiply-add) lies within a quarter turn, where sine and cosine
    are polynomials of absolute error 2e-7. Angles beyond 2**22 half turns have no digits left.
    """
    LN2_OVER_PI: tl.constexpr = 0.6931471805599453 * _INV_PI
    step = step[:, None, None, :]
    turn = (spin * LN2_OVER_PI)[None, :, :, :]
    shifted = tl.fma(step, turn, tl.zeros_like(step * turn) + _MAGIC)
    rest = tl.fma(step, turn, -(shifted - _MAGIC))
    rest = tl.minimum(tl.maximum(rest, -0.5), 0.5)  # where float32 holds no fractions any more
    square = rest * rest
    cos = -0.024396715685725212 * square + 0.23493756353855133
    cos = cos * square - 1.3352121114730835
    cos = cos * square + 4.058709144592285
    cos = cos * square - 4.934802055358887
    cos = cos * square + 1.0
    sin = 0.07722225040197372 * square - 0.5980464220046997
    sin = sin * square + 2.5500316619873047
    sin = sin * square - 5.1677069664001465
    sin = (sin * square + 3.141592502593994) * rest
    size = tl.exp2(step * rate[None, :, :, :])
    odd = shifted.to(tl.int32, bitcast=True) << 31
    size = (size.to(tl.int32, bitcast=True) ^ odd).to(tl.float32, bitcast=True)
    return size * cos, size * sin


@triton.jit
def walk_pair(cos, sin, drive, drive_imag, h, h_imag, t, T: tl.constexpr):
    """Return all states of T steps from h, each part [T, NR, NL, BD], and the last one."""
    path, path_imag = drive, drive_imag
    for i in tl.static_range(T):
        a, b = row_of(cos, t, i), row_of(sin, t, i)
        x, x_imag = row_of(drive, t, i), row_of(drive_imag, t, i)
        new = hold(a * h - b * h_imag + x)
        h_imag = hold(a * h_imag + b * h + x_imag)
        h = new
        path, path_imag = put_row(path, h, t, i), put_row(path_imag, h_imag, t, i)
    return path, path_imag, h, h_imag
