"""What the complex scan's Triton kernels share: real and imaginary parts, in [N, BD] tiles."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import LOG2E, sigmoid, softplus
from sensorssm_kernels.scan_tiles_triton import load_channels


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
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return the program's channels and states, where its state lies and which exist, its rates
    (real and imaginary), D_skip and bias.
    """
    d, n = tl.program_id(0) * BD + tl.arange(0, BD), tl.arange(0, N)
    live = (n < STATES)[:, None] & (d < DIM)[None, :]
    at_state = (row * DIM + d[None, :]) * STATES + n[:, None]
    rate, spin = load_pair(A_ptr, d[None, :] * STATES + n[:, None], live)
    skip = load_channels(skip_ptr, d, HAS_SKIP, DIM)
    return d, n, at_state, live, rate, spin, skip, load_channels(bias_ptr, d, HAS_BIAS, DIM)


@triton.jit
def load_matrix_pair(ptr, token, d, n, live_state, FIXED: tl.constexpr, STATES: tl.constexpr):
    """Return B or C of one token, [N, 1]; of every token, [N, BD], when it is fixed in time."""
    if FIXED:
        return load_pair(ptr, d[None, :] * STATES + n[:, None], live_state)
    else:
        return load_pair(ptr, token * STATES + n[:, None], (n < STATES)[:, None])


@triton.jit
def load_step(delta_ptr, bias, at, live, SOFTPLUS: tl.constexpr):
    """Return the step of one token, and its slope by the raw delta."""
    raw = tl.load(delta_ptr + at, mask=live, other=0.0).to(tl.float32) + bias
    slope = tl.zeros_like(raw) + 1.0
    if SOFTPLUS:
        slope = sigmoid(raw)
        raw, _ = softplus(raw)
    return raw, slope


@triton.jit
def decay_pair(step, rate, spin):
    """Return the real and the imaginary part of exp(step A), [N, BD]."""
    size, angle = tl.exp2(step[None, :] * rate * LOG2E), step[None, :] * spin
    return size * tl.cos(angle), size * tl.sin(angle)


@triton.jit
def advance_pair(cos, sin, x, gain, gain_imag, h, h_imag):
    """Return the state one step on."""
    new = cos * h - sin * h_imag + x[None, :] * gain
    return new, cos * h_imag + sin * h + x[None, :] * gain_imag
