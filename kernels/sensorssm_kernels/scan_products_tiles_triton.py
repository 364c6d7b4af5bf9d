"""What both passes of the scan by matrix products share: readings, states, decays of a chunk.

Where all states of a channel fade alike, a state fades from step s to step t by E[t] / E[s], E the
running product of the decays, whatever n is. Within a chunk of T steps the scan is then

    o[t] = E[t] (C[t] h + sum over s <= t of (C[t] B[s]) x[s] / E[s])

with h the state before it: products of [T, T], [T, N] and [N, BD] tiles, which tensor units do. E
may leave what float32 holds: it is scaled by 2**48, and a chunk in which a channel fades by more
than 2**-96 is walked step by step. So the result is right for any delta.

Reference: Dao and Gu 2024, arXiv:2405.21060, section 6.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
# pyright: reportAssignmentType=false
from __future__ import annotations

import torch
import triton
import triton.language as tl

from sensorssm_kernels.math_triton import sigmoid, softplus

UP, DOWN = tl.constexpr(2.0**48), tl.constexpr(2.0**-48)
_MOST_BITS = tl.constexpr(96.0)
_PRECISION = tl.constexpr("ieee" if torch.version.hip else "tf32")


@triton.jit
def load_wide(ptr, d, t, left, DIM: tl.constexpr, BD: tl.constexpr):
    """Return a chunk of u, delta, z or a gradient, [T, BD]; zeros beyond the row."""
    live = (t < left)[:, None]
    if DIM % BD != 0:
        live = live & (d < DIM)[None, :]
    return tl.load(ptr + t[:, None] * DIM + d[None, :], mask=live, other=0.0)


@triton.jit
def load_narrow(ptr, n, t, left, STATES: tl.constexpr, N: tl.constexpr):
    """Return a chunk of B or C, [T, N]; zeros beyond the row."""
    live = (t < left)[:, None]
    if STATES != N:
        live = live & (n < STATES)[None, :]
    return tl.load(ptr + t[:, None] * STATES + n[None, :], mask=live, other=0.0)


@triton.jit
def own_states(row, d, n, DIM: tl.constexpr, STATES: tl.constexpr):
    """Return where a program's states lie, [N, BD], and which exist."""
    at = (row * DIM + d[None, :]) * STATES + n[:, None]
    return at, (n < STATES)[:, None] & (d < DIM)[None, :]


@triton.jit
def soften(delta, bias, t, left, SOFTPLUS: tl.constexpr):
    """Return the steps of a chunk, 0 beyond the row, and their slope in delta."""
    step = delta.to(tl.float32) + bias[None, :]
    slope = 1.0
    if SOFTPLUS:
        slope = sigmoid(step)
        step, _ = softplus(step)
    return tl.where((t < left)[:, None], step, 0.0), slope


@triton.jit
def fade(step, rates):
    """Return the decays of a chunk, and whether its products stay within float32."""
    bits = step * rates[None, :]
    return tl.exp2(bits), tl.max(tl.sum(tl.abs(bits), axis=0), axis=0) <= _MOST_BITS


@triton.jit
def _times(a, b):
    return a * b


@triton.jit
def running_product(decay):
    """Return the products of the decays up to each step, times 2**48, and of all of them."""
    return tl.associative_scan(decay, 0, _times) * UP, tl.reduce(decay, 0, _times)


@triton.jit
def row(tile, t, i):
    """Return row i of a [T, .] tile."""
    return tl.sum(tl.where((t == i)[:, None], tile, 0.0), axis=0)


@triton.jit
def put(tile, values, t, i):
    """Return a [T, .] tile with its row i replaced."""
    return tl.where((t == i)[:, None], values[None, :], tile)


@triton.jit
def advance(h, decay, x, gain, t, i):
    """Return the state after step i, [N, BD]."""
    return row(decay, t, i)[None, :] * h + row(gain, t, i)[:, None] * row(x, t, i)[None, :]


@triton.jit
def _upper(x):
    """Return the upper 11 bits of float32, rounded: what a tensor unit takes."""
    bits = (x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def product(a, b):
    """Return the matrix product of two tiles in float32, of the upper 11 bits of their numbers."""
    return tl.dot(a, b, input_precision=_PRECISION)


@triton.jit
def add_product(a, b, c):
    """Return c plus the same."""
    return tl.dot(a, b, c, input_precision=_PRECISION)


@triton.jit
def exact_product(a, b):
    """Return the matrix product of all bits of two tiles: three of halves of them."""
    upper_a, upper_b = _upper(a), _upper(b)
    rest = add_product(upper_a, b - upper_b, product(a - upper_a, upper_b))
    return add_product(upper_a, upper_b, rest)
