"""What runs beside the scan's walks: sums of the parts of gradients, chains of segments."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import LOG2E, round_for


@triton.jit
def _sum_parts(
    part_ptr, first, size, parts, PARTS: tl.constexpr, BLOCK: tl.constexpr, STAGES: tl.constexpr
):
    """Return the sums of (parts, size) over parts for BLOCK columns, PARTS rows at a time."""
    at = first + tl.arange(0, BLOCK)
    part = tl.arange(0, PARTS)
    total = tl.zeros([PARTS, BLOCK], tl.float32)
    part_ptr += part[:, None].to(tl.int64) * size + at[None, :]
    for done in tl.range(0, parts, PARTS, num_stages=STAGES):
        live = (part < parts - done)[:, None] & (at < size)[None, :]
        total += tl.load(part_ptr, mask=live, other=0.0).to(tl.float32)
        part_ptr += tl.cast(size, tl.int64) * PARTS
    return at, tl.sum(total, axis=0)


@triton.jit
def _store_slice(ptr, at, total, first, size):
    """Store the columns of `total` from `first` on that belong to one gradient of that size."""
    at -= first
    tl.store(ptr + at, round_for(total, ptr), mask=(at >= 0) & (at < size))


@triton.jit(do_not_specialize=["size", "strips", "rows"])
def sum_parts_kernel(
    parts_ptr, rows_ptr, B_ptr, C_ptr, A_ptr, skip_ptr, bias_ptr, size, strips, rows,
    HAS_SKIP: tl.constexpr, HAS_BIAS: tl.constexpr, SIZE_A: tl.constexpr, DIM: tl.constexpr,
    SIZE_B: tl.constexpr, SIZE_C: tl.constexpr,
    BLOCK: tl.constexpr, PARTS: tl.constexpr, BLOCK_A: tl.constexpr, PARTS_A: tl.constexpr,
):  # fmt: skip
    """Add up the parts of all shared gradients in one launch, always in the same order.

    `parts_ptr` is (2, strips, size), B's and C's; `rows_ptr` (rows, WIDTH): A's, D_skip's, bias's,
    and B's and C's where these are fixed in time: SIZE_B and SIZE_C are 0 where they are not.
    """
    WIDTH: tl.constexpr = SIZE_A + 2 * DIM + SIZE_B + SIZE_C
    job = tl.program_id(0)
    blocks = tl.cdiv(WIDTH, BLOCK_A)
    if job < blocks:
        first = job.to(tl.int64) * BLOCK_A
        at, total = _sum_parts(rows_ptr, first, WIDTH, rows, PARTS_A, BLOCK_A, 4)
        _store_slice(A_ptr, at, total, 0, SIZE_A)
        if HAS_SKIP:
            _store_slice(skip_ptr, at, total, SIZE_A, DIM)
        if HAS_BIAS:
            _store_slice(bias_ptr, at, total, SIZE_A + DIM, DIM)
        if SIZE_B > 0:
            _store_slice(B_ptr, at, total, SIZE_A + 2 * DIM, SIZE_B)
        if SIZE_C > 0:
            _store_slice(C_ptr, at, total, SIZE_A + 2 * DIM + SIZE_B, SIZE_C)
    else:
        begin = (job - blocks).to(tl.int64) * BLOCK
        if SIZE_B == 0:
            token, sum_B = _sum_parts(parts_ptr, begin, size, strips, PARTS, BLOCK, 1)
            _store_slice(B_ptr, token, sum_B, 0, size)
        parts_ptr += tl.cast(size, tl.int64) * strips
        if SIZE_C == 0:
            token, sum_C = _sum_parts(parts_ptr, begin, size, strips, PARTS, BLOCK, 1)
            _store_slice(C_ptr, token, sum_C, 0, size)


@triton.jit(do_not_specialize=["segments"])
def chain_kernel(
    ends_ptr, sums_ptr, A_ptr, given_ptr, into_ptr, segments,
    HAS_GIVEN: tl.constexpr, BACKWARD: tl.constexpr, SHARED: tl.constexpr,
    DIM: tl.constexpr, STATES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Chain the segments of one row: what comes into each from what they give from zero."""
    row = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = at < DIM * STATES
    d = at // STATES
    rates = tl.load(A_ptr + (d if SHARED else at), mask=live, other=0.0).to(tl.float32) * LOG2E
    state = tl.zeros([BLOCK], tl.float32)
    if HAS_GIVEN:
        state = tl.load(given_ptr + row * DIM * STATES + at, mask=live, other=0.0).to(tl.float32)
    for k in tl.range(0, segments, num_stages=4):
        segment = row * segments + (segments - 1 - k if BACKWARD else k)
        tl.store(into_ptr + segment * DIM * STATES + at, state, mask=live)
        total = tl.load(sums_ptr + segment * DIM + d, mask=live, other=0.0)
        end = tl.load(ends_ptr + segment * DIM * STATES + at, mask=live, other=0.0)
        state = tl.exp2(rates * total) * state + end
