"""What the scan's Triton kernels share: where a program's row lies, and the tiles it loads.

A program owns BD channels of one row and walks time in blocks of T steps; a block is a
[T, NR, NL, BD] tile: state n = nl NR + nr. Triton lays the last axes over the 32 lanes of a warp
(BD channels by NL states) and the first into registers, so the scan over time is T multiply-adds
per state with no exchange between lanes, and a lane's NR states are neighbours in memory. B and C
are read once per BD channels. Sizes that a model fixes (DIM, STATES) are compiled in, so that
addresses are a base and constants; lengths are not.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import LOG2E, hold, widen


@triton.jit
def load(ptr, live, MASKED: tl.constexpr):
    """Return what `ptr` points to, 0 where a tile has no element; MASKED where that can be."""
    if MASKED:
        return tl.load(ptr, mask=live, other=0.0)
    else:
        return tl.load(ptr)


@triton.jit
def locate(
    starts_ptr, lengths_ptr, chunk_at_ptr, length, segments, steps,
    RAGGED: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Return the program's row, its first token, its length and its first kept chunk.

    Ragged rows are looked up; dense ones, of `length` tokens, are cut into `segments` of `steps`.
    """
    row = tl.program_id(1).to(tl.int64)
    if RAGGED:
        start = tl.load(starts_ptr + row)
        chunk_at = tl.load(chunk_at_ptr + row)
        length = tl.load(lengths_ptr + row).to(tl.int32)
    else:
        whole = (tl.program_id(1) // segments).to(tl.int64)
        first = tl.program_id(1) % segments * steps
        start = whole * length + first
        chunk_at = whole * tl.cdiv(length, CHUNK) + first // CHUNK
        length = tl.minimum(length - first, steps)
    return row, start, length, chunk_at


@triton.jit
def number_states(N: tl.constexpr, NL: tl.constexpr):
    """Return the number of each state of a tile, [NR, NL]."""
    return tl.arange(0, N // NL)[:, None] + tl.arange(0, NL)[None, :] * (N // NL)


@triton.jit
def own_channels(
    A_ptr, skip_ptr, bias_ptr, row, HAS_SKIP: tl.constexpr, HAS_BIAS: tl.constexpr,
    SHARED: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, NL: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return the program's channels d and states n, where their states are and which exist, and
    what does not change in time: rates, D_skip and bias.
    """
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = number_states(N, NL)
    live = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
    state_at = (row * DIM + d[None, None, :]) * STATES + n[:, :, None]
    rates = load_rates(A_ptr, d, n, live, SHARED, DIM, STATES)
    skip = load_channels(skip_ptr, d, HAS_SKIP, DIM)
    bias = load_channels(bias_ptr, d, HAS_BIAS, DIM)
    return d, n, state_at, live, rates, skip, bias


@triton.jit
def load_rates(A_ptr, d, n, live, SHARED: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr):
    """Return the rates as [NR, NL, BD], times log2(e); [1, 1, BD] when all states share one."""
    if SHARED:
        rates = tl.load(A_ptr + d, mask=d < DIM, other=0.0)[None, None, :]
    else:
        rates = tl.load(A_ptr + d[None, None, :] * STATES + n[:, :, None], mask=live, other=0.0)
    return rates.to(tl.float32) * LOG2E


@triton.jit
def load_channels(ptr, d, HAS: tl.constexpr, DIM: tl.constexpr):
    """Return one value per channel as float32, zeros for an argument left out."""
    if HAS:
        return tl.load(ptr + d, mask=d < DIM, other=0.0).to(tl.float32)
    else:
        return tl.zeros(d.shape, tl.float32)


@triton.jit
def load_matrix(
    ptr, d, n, t, left, FIXED: tl.constexpr, RAGGED_END: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Return B or C of one block as [T, NR, NL, 1]; as [1, NR, NL, BD] when it is fixed in time."""
    if FIXED:
        live = (n < STATES)[:, :, None] & (d < DIM)[None, None, :]
        at = d[None, None, :] * STATES + n[:, :, None]
        return tl.load(ptr + at, mask=live, other=0.0).to(tl.float32)[None, :, :, :]
    else:
        live = (t < left)[:, None, None] & (n < STATES)[None, :, :]
        at = t[:, None, None] * STATES + n[None, :, :]
        return widen(load(ptr + at, live, RAGGED_END or STATES != N))[:, :, :, None]


@triton.jit
def decays(step, rates, SHARED: tl.constexpr, NR: tl.constexpr, NL: tl.constexpr):
    """Return exp(step A) of a block, [T, NR, NL, BD]; rates shared by states take one exp each."""
    if SHARED:
        T: tl.constexpr = step.shape[0]
        BD: tl.constexpr = step.shape[1]
        decay = hold(tl.exp2(step * tl.reshape(rates, [1, BD])))
        # Held: else Triton lays out the walk of the backward twice, for two uses of the tile.
        return hold(tl.broadcast_to(decay[:, None, None, :], [T, NR, NL, BD]))
    else:
        return tl.exp2(step[:, None, None, :] * rates[None, :, :, :])
