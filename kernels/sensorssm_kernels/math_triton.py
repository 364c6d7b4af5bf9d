"""Small pieces that the Triton kernels share: softplus, sigmoid, rows of a register tile."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import torch
import triton
import triton.language as tl

from sensorssm_kernels.backends import INTERPRETED

LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)
# One instruction on NVIDIA chips; elsewhere, and in the interpreter, an ordinary division.
_HAS_PTX = tl.constexpr(torch.version.cuda is not None and not INTERPRETED)


@triton.jit
def reciprocal(x):
    """Return 1 / x, relative error 1e-7."""
    if _HAS_PTX:
        return tl.inline_asm_elementwise(
            "rcp.approx.ftz.f32 $0, $1;", "=r,r", [x], dtype=tl.float32, is_pure=True, pack=1
        )
    else:
        return 1.0 / x


@triton.jit
def softplus(x):
    """Return log(1 + exp(x)) as max(x, 0) + 2 atanh(e / (2 + e)), and e = exp(-|x|).

    No threshold, no overflow; relative error 1e-7 also where the result is tiny.
    """
    e = tl.exp2(-tl.abs(x) * LOG2E)
    ratio = e * reciprocal(2.0 + e)
    square = ratio * ratio
    series = 0.15384615 * square + 0.18181818
    series = series * square + 0.22222222
    series = series * square + 0.28571429
    series = series * square + 0.4
    series = series * square + 0.66666667
    series = series * square + 2.0
    return tl.maximum(x, 0.0) + ratio * series, e


@triton.jit
def sigmoid(x):
    """Return 1 / (1 + exp(-x)); exp overflows to infinity, which gives 0."""
    return reciprocal(1.0 + tl.exp2(-x * LOG2E))


@triton.jit
def row_of(tile, t, i):
    """Return row i of a [T, N, BD] tile whose first axis lies in registers: no instruction.

    A sum of integers with one term that is not zero: exact, and it folds at compile time.
    """
    bits = tl.where(t[:, None, None] == i, tile.to(tl.int32, bitcast=True), 0)
    return tl.sum(bits, axis=0).to(tl.float32, bitcast=True)


@triton.jit
def walk(decay, drive, h, t, T: tl.constexpr):
    """Return all states of T steps from h, [T, N, BD], and the last one.

    Row by row and not with `tl.associative_scan`: the same multiply-adds, and no exchange between
    lanes when run backwards.
    """
    path = drive
    for i in tl.static_range(T):
        h = row_of(decay, t, i) * h + row_of(drive, t, i)
        path = tl.where(t[:, None, None] == i, h[None, :, :], path)
    return path, h
