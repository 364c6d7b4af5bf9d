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
def hold(tile):
    """Return the tile as it is, in the layout where it was computed.

    Triton (3.6 at least) moves a change of layout up through elementwise code, into layouts where
    several lanes repeat it: softplus four times for one reading. A sum over an axis of size 1 costs
    no instruction and stops it there.
    """
    return tl.sum(tile[None], axis=0)


@triton.jit
def widen(tile):
    """Return a loaded tile as float32; a narrower one is widened once, not in every lane."""
    if tile.dtype == tl.float32:
        return tile
    else:
        return hold(tile.to(tl.float32))


@triton.jit
def walk(decay, drive, h, t, T: tl.constexpr, FUSED: tl.constexpr):
    """Return all states of T steps from h, [T, NR, NL, BD], and the last one.

    Row by row and not with `tl.associative_scan`: the same multiply-adds, and no exchange between
    lanes when run backwards. FUSED makes a step one multiply-add, as short a chain as can be; else
    the compiler may as well fuse the drive's product, which a lone warp runs 5 % faster on an H100.
    """
    path = drive
    for i in tl.static_range(T):
        a, x = row_of(decay, t, i), row_of(drive, t, i)
        h = hold(tl.fma(a, h, x) if FUSED else a * h + x)
        path = put_row(path, h, t, i)
    return path, h


@triton.jit
def _fold_lanes(tile, lane, BIT: tl.constexpr, AXIS: tl.constexpr):
    """Add up lanes that differ in BIT, over axis AXIS (1 or 2) of a [T, ., .] tile.

    While there are rows, lanes with BIT clear take the even rows and the others the odd ones: half
    the exchanges of leaving every sum in both lanes.
    """
    T: tl.constexpr = tile.shape[0]
    P: tl.constexpr = tile.shape[1]
    Q: tl.constexpr = tile.shape[2]
    lane = lane[None, None, :] if AXIS == 2 else lane[None, :, None]
    if T == 1:
        return tile + tl.gather(tile, tl.broadcast_to(lane ^ BIT, tile.shape), AXIS)
    else:
        pairs = tl.permute(tl.reshape(tile, [T // 2, 2, P, Q]), (0, 2, 3, 1))
        even, odd = tl.split(pairs)
        upper = (lane & BIT) != 0
        kept, sent = tl.where(upper, odd, even), tl.where(upper, even, odd)
        return kept + tl.gather(sent, tl.broadcast_to(lane ^ BIT, [T // 2, P, Q]), AXIS)


@triton.jit
def spread_sum(tile, AXIS: tl.constexpr):
    """Return the sums over the lanes of axis AXIS (1 or 2) of a [T, ., .] tile, spread over them.

    The entry at row r of a lane is the sum of row r * lanes + lane (modulo T if there are fewer).
    """
    LANES: tl.constexpr = tile.shape[AXIS]
    lane = tl.arange(0, LANES)
    if LANES >= 2:
        tile = _fold_lanes(tile, lane, 1, AXIS)
    if LANES >= 4:
        tile = _fold_lanes(tile, lane, 2, AXIS)
    if LANES >= 8:
        tile = _fold_lanes(tile, lane, 4, AXIS)
    if LANES >= 16:
        tile = _fold_lanes(tile, lane, 8, AXIS)
    if LANES >= 32:
        tile = _fold_lanes(tile, lane, 16, AXIS)
    return tile


@triton.jit
def sum_states(tile):
    """Return the sums over all states of a [T, NR, NL, BD] tile, [T, BD]: registers, then lanes."""
    T: tl.constexpr = tile.shape[0]
    NL: tl.constexpr = tile.shape[2]
    BD: tl.constexpr = tile.shape[3]
    sums = tl.sum(tile, axis=1)
    # Between two lanes a plain exchange is as short, and waits less.
    if NL >= 4 and T >= NL:
        return tl.reshape(spread_sum(sums, 1), [T, BD])
    else:
        return tl.sum(sums, axis=1)


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
    sums = spread_sum(tl.reshape(tile, [T, NR * NL, BD]), 2)
    return tl.reshape(sums, [ROWS, NR, NL, BD])
