"""Small pieces that the Triton kernels share: softplus, sigmoid, rows of a register tile."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAssignmentType=false, reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
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
def round_for(x, ptr):
    """Return float32 x in the dtype that `ptr` points to, rounded to nearest."""
    if ptr.dtype.element_ty == tl.float32:
        return x
    else:
        return x.to(ptr.dtype.element_ty, fp_downcast_rounding="rtne")


@triton.jit
def row_of(tile, t, i):
    """Return row i of a [T, NR, NL, BD] tile whose first axis lies in registers: no instruction.

    A sum of integers with one term that is not zero: exact, and it folds at compile time.
    """
    bits = tl.where(t[:, None, None, None] == i, tile.to(tl.int32, bitcast=True), 0)
    return tl.sum(bits, axis=0).to(tl.float32, bitcast=True)


@triton.jit
def put_row(tile, row, t, i):
    """Return the tile with row i replaced."""
    return tl.where(t[:, None, None, None] == i, row[None, :, :, :], tile)


@triton.jit
def walk(decay, drive, h, t, T: tl.constexpr):
    """Return all states of T steps from h, [T, NR, NL, BD], and the last one.

    Row by row and not with `tl.associative_scan`: the same multiply-adds, and no exchange between
    lanes when run backwards.
    """
    path = drive
    for i in tl.static_range(T):
        h = row_of(decay, t, i) * h + row_of(drive, t, i)
        path = put_row(path, h, t, i)
    return path, h


@triton.jit
def _fold_lanes(tile, lane, BIT: tl.constexpr):
    """Add up lanes that differ in BIT, over the last axis of [T, K, lanes].

    While there are rows, lanes with BIT clear take the even rows and the others the odd ones: half
    the exchanges of leaving every sum in both lanes.
    """
    T: tl.constexpr = tile.shape[0]
    K: tl.constexpr = tile.shape[1]
    LANES: tl.constexpr = tile.shape[2]
    partner = (lane ^ BIT)[None, None, :]
    if T == 1:
        return tile + tl.gather(tile, tl.broadcast_to(partner, tile.shape), 2)
    else:
        pairs = tl.permute(tl.reshape(tile, [T // 2, 2, K, LANES]), (0, 2, 3, 1))
        even, odd = tl.split(pairs)
        upper = ((lane & BIT) != 0)[None, None, :]
        kept, sent = tl.where(upper, odd, even), tl.where(upper, even, odd)
        return kept + tl.gather(sent, tl.broadcast_to(partner, [T // 2, K, LANES]), 2)


@triton.jit
def spread_sum(tile):
    """Return the sums over the last axis of [T, K, lanes], spread over its lanes.

    Entry [r, k, lane] is the sum of row r * lanes + lane (modulo T when there are fewer rows).
    """
    LANES: tl.constexpr = tile.shape[2]
    lane = tl.arange(0, LANES)
    if LANES >= 2:
        tile = _fold_lanes(tile, lane, 1)
    if LANES >= 4:
        tile = _fold_lanes(tile, lane, 2)
    if LANES >= 8:
        tile = _fold_lanes(tile, lane, 4)
    if LANES >= 16:
        tile = _fold_lanes(tile, lane, 8)
    if LANES >= 32:
        tile = _fold_lanes(tile, lane, 16)
    return tile


@triton.jit
def sum_states(tile):
    """Return the sums over all states of a [T, NR, NL, BD] tile, [T, BD]: registers, then lanes."""
    return tl.sum(tl.sum(tile, axis=1), axis=1)


@triton.jit
def sum_channels(tile):
    """Return the sums over the channels of a [T, NR, NL, BD] tile, spread: [rows, NR, NL, BD].

    Entry [r, ..., d] is the sum of row r * BD + d, modulo T.
    """
    T: tl.constexpr = tile.shape[0]
    NR: tl.constexpr = tile.shape[1]
    NL: tl.constexpr = tile.shape[2]
    BD: tl.constexpr = tile.shape[3]
    ROWS: tl.constexpr = T // BD if T > BD else 1
    sums = spread_sum(tl.reshape(tile, [T, NR * NL, BD]))
    return tl.reshape(sums, [ROWS, NR, NL, BD])
