"""The Triton kernels of the selective scan: one program owns some channels of one row.

A program walks time in blocks of T steps; a block is a [T, N, BD] tile. Triton lays the last axis
over lanes and the first into registers, so the scan over time is T multiply-adds per state, with no
exchange between lanes; B and C are read once per BD channels. Rates arrive times log2(e).
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

import triton
import triton.language as tl

from sensorssm_kernels.math_triton import (
    LN2,
    LOG2E,
    reciprocal,
    row_of,
    sigmoid,
    softplus,
    walk,
)

_CHANGING = ["length", "dim"]  # a new length must not compile a new kernel


@triton.jit
def _load_rates(A_ptr, d, n, live_d, live_n, SHARED: tl.constexpr, states):
    """Return the rates as [N, BD], times log2(e); one row for all states when SHARED."""
    if SHARED:
        rates = tl.load(A_ptr + d, mask=live_d, other=0.0)[None, :]
    else:
        rates = tl.load(
            A_ptr + d[None, :] * states + n[:, None],
            mask=live_n[:, None] & live_d[None, :],
            other=0.0,
        )
    return rates.to(tl.float32) * LOG2E


@triton.jit
def _load_channels(ptr, d, live, HAS: tl.constexpr):
    if HAS:
        return tl.load(ptr + d, mask=live, other=0.0).to(tl.float32)
    else:
        return tl.zeros(d.shape, tl.float32)


@triton.jit(do_not_specialize=_CHANGING)
def scan_forward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr,
    starts_ptr, lengths_ptr, chunk_at_ptr, first_ptr, y_ptr, last_ptr, saved_ptr,
    length, dim, states,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_FIRST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, SHARED: tl.constexpr, KEEP: tl.constexpr,
    ONLY_STATE: tl.constexpr, CHUNK: tl.constexpr,
    N: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write y and the last state of BD channels of one row; keep the state every CHUNK steps."""
    row = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = tl.arange(0, N)
    t = tl.arange(0, T)
    live_d, live_n = d < dim, n < states
    live_state = live_n[:, None] & live_d[None, :]
    start = row * length
    chunk_at = row * tl.cdiv(length, CHUNK)
    if RAGGED:
        start = tl.load(starts_ptr + row)
        chunk_at = tl.load(chunk_at_ptr + row)
        length = tl.load(lengths_ptr + row).to(tl.int32)
    rates = _load_rates(A_ptr, d, n, live_d, live_n, SHARED, states)
    skip = _load_channels(skip_ptr, d, live_d, HAS_SKIP)
    bias = _load_channels(bias_ptr, d, live_d, HAS_BIAS)
    state_at = (row * dim + d[None, :]) * states + n[:, None]
    h = tl.zeros([N, BD], tl.float32)
    if HAS_FIRST:
        h = tl.load(first_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    wide = start * dim + t[:, None] * dim + d[None, :]
    narrow = start * states + t[:, None] * states + n[None, :]
    u_ptr += wide
    delta_ptr += wide
    z_ptr += wide
    y_ptr += wide
    B_ptr += narrow
    C_ptr += narrow
    saved_ptr += chunk_at * states * dim + n[:, None] * dim + d[None, :]
    for t0 in tl.range(0, length, T, num_stages=STAGES):
        live_t = t < length - t0
        live = live_t[:, None] & live_d[None, :]
        live_bc = live_t[:, None] & live_n[None, :]
        u = tl.load(u_ptr, mask=live, other=0.0).to(tl.float32)
        step = tl.load(delta_ptr, mask=live, other=0.0).to(tl.float32) + bias[None, :]
        gain = tl.load(B_ptr, mask=live_bc, other=0.0).to(tl.float32)
        if KEEP:
            if CHUNK == T:
                tl.store(saved_ptr, h, mask=live_state)
                saved_ptr += states * dim
            else:
                if t0 % CHUNK == 0:
                    tl.store(saved_ptr, h, mask=live_state)
                    saved_ptr += states * dim
        if SOFTPLUS:
            step, _ = softplus(step)
        step = tl.where(live, step, 0.0)
        decay = tl.exp2(step[:, None, :] * rates[None, :, :])
        if SHARED:
            decay = tl.broadcast_to(decay, [T, N, BD])
        drive = (step * u)[:, None, :] * gain[:, :, None]
        path, h = walk(decay, drive, h, t, T)
        if not ONLY_STATE:
            read = tl.load(C_ptr, mask=live_bc, other=0.0).to(tl.float32)
            y = tl.sum(path * read[:, :, None], axis=1) + u * skip[None, :]
            if HAS_Z:
                gate = tl.load(z_ptr, mask=live, other=0.0).to(tl.float32)
                y = y * (gate * sigmoid(gate))
            tl.store(y_ptr, y.to(y_ptr.dtype.element_ty), mask=live)
        u_ptr += T * dim
        delta_ptr += T * dim
        z_ptr += T * dim
        y_ptr += T * dim
        B_ptr += T * states
        C_ptr += T * states
    tl.store(last_ptr + state_at, h, mask=live_state)


@triton.jit(do_not_specialize=_CHANGING)
def scan_backward_kernel(
    u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr,
    starts_ptr, lengths_ptr, chunk_at_ptr, saved_ptr, grad_y_ptr, grad_last_ptr,
    grad_u_ptr, grad_delta_ptr, grad_z_ptr, grad_A_ptr, grad_B_ptr, grad_C_ptr,
    grad_skip_ptr, grad_bias_ptr, grad_first_ptr,
    length, dim, states, tokens,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, HAS_LAST: tl.constexpr,
    SOFTPLUS: tl.constexpr, RAGGED: tl.constexpr, SHARED: tl.constexpr,
    N: tl.constexpr, BD: tl.constexpr, T: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """Write the gradients of BD channels of one row; those shared by rows or channels in parts.

    Blocks of T steps are rerun from their kept state, then walked backwards. Each program writes
    its own part of the gradients of B and C (channels) and of A, D_skip and bias (rows): sums
    without atomics, the same in every run.
    """
    row = tl.program_id(1).to(tl.int64)
    part = tl.program_id(0).to(tl.int64)
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = tl.arange(0, N)
    t = tl.arange(0, T)
    live_d, live_n = d < dim, n < states
    live_state = live_n[:, None] & live_d[None, :]
    start = row * length
    chunk_at = row * tl.cdiv(length, T)
    if RAGGED:
        start = tl.load(starts_ptr + row)
        chunk_at = tl.load(chunk_at_ptr + row)
        length = tl.load(lengths_ptr + row).to(tl.int32)
    rates = _load_rates(A_ptr, d, n, live_d, live_n, SHARED, states)
    skip = _load_channels(skip_ptr, d, live_d, HAS_SKIP)
    bias = _load_channels(bias_ptr, d, live_d, HAS_BIAS)
    state_at = (row * dim + d[None, :]) * states + n[:, None]
    carry = tl.zeros([N, BD], tl.float32)
    if HAS_LAST:
        carry = tl.load(grad_last_ptr + state_at, mask=live_state, other=0.0).to(tl.float32)
    grad_A = tl.zeros([N, BD], tl.float32)
    grad_skip = tl.zeros([T, BD], tl.float32)
    grad_bias = tl.zeros([T, BD], tl.float32)
    blocks = tl.cdiv(length, T)
    wide = (start + t[:, None]) * dim + d[None, :]
    narrow = (start + t[:, None]) * states + n[None, :]
    saved_ptr += chunk_at * states * dim + n[:, None] * dim + d[None, :]
    grad_B_ptr += part * tokens * states
    grad_C_ptr += part * tokens * states
    for k in tl.range(0, blocks, num_stages=STAGES):
        block = blocks - 1 - k
        t0 = block * T
        live_t = t < length - t0
        live = live_t[:, None] & live_d[None, :]
        live_bc = live_t[:, None] & live_n[None, :]
        at = wide + t0.to(tl.int64) * dim
        at_bc = narrow + t0.to(tl.int64) * states
        u = tl.load(u_ptr + at, mask=live, other=0.0).to(tl.float32)
        raw = tl.load(delta_ptr + at, mask=live, other=0.0).to(tl.float32) + bias[None, :]
        grad = tl.load(grad_y_ptr + at, mask=live, other=0.0).to(tl.float32)
        gain = tl.load(B_ptr + at_bc, mask=live_bc, other=0.0).to(tl.float32)
        read = tl.load(C_ptr + at_bc, mask=live_bc, other=0.0).to(tl.float32)
        h = tl.load(saved_ptr + block.to(tl.int64) * states * dim, mask=live_state, other=0.0)
        step = raw
        slope = tl.full([T, BD], 1.0, tl.float32)
        if SOFTPLUS:
            step, e = softplus(raw)
            slope = tl.where(raw > 0, 1.0, e) * reciprocal(1.0 + e)
        step = tl.where(live, step, 0.0)
        x = step * u
        decay = tl.exp2(step[:, None, :] * rates[None, :, :])
        if SHARED:
            decay = tl.broadcast_to(decay, [T, N, BD])
        drive = x[:, None, :] * gain[:, :, None]
        path, _ = walk(decay, drive, h, t, T)
        if HAS_Z:
            gate = tl.load(z_ptr + at, mask=live, other=0.0).to(tl.float32)
            half = sigmoid(gate)
            y = tl.sum(path * read[:, :, None], axis=1) + u * skip[None, :]
            grad_z = grad * y * half * (1.0 + gate * (1.0 - half))
            tl.store(grad_z_ptr + at, grad_z.to(grad_z_ptr.dtype.element_ty), mask=live)
            grad = grad * gate * half
        grad_skip += grad * u
        # By rows and not by a reverse scan, which would exchange lanes for every element.
        direct = read[:, :, None] * grad[:, None, :]
        adjoint = direct
        for i in tl.static_range(T):
            now = row_of(direct, t, T - 1 - i) + carry
            carry = row_of(decay, t, T - 1 - i) * now
            adjoint = tl.where(t[:, None, None] == T - 1 - i, now[None, :, :], adjoint)
        pull = adjoint * (path - drive)
        grad_A += tl.sum(pull * step[:, None, :], axis=0)
        through_decay = tl.sum(pull * rates[None, :, :], axis=1) * LN2
        through_drive = tl.sum(adjoint * gain[:, :, None], axis=1)
        grad_delta = (through_decay + through_drive * u) * slope
        grad_delta = tl.where(live, grad_delta, 0.0)
        grad_bias += grad_delta
        grad_u = through_drive * step + grad * skip[None, :]
        tl.store(grad_delta_ptr + at, grad_delta.to(grad_delta_ptr.dtype.element_ty), mask=live)
        tl.store(grad_u_ptr + at, grad_u.to(grad_u_ptr.dtype.element_ty), mask=live)
        tl.store(grad_B_ptr + at_bc, tl.sum(adjoint * x[:, None, :], axis=2), mask=live_bc)
        tl.store(grad_C_ptr + at_bc, tl.sum(path * grad[:, None, :], axis=2), mask=live_bc)
    if SHARED:
        tl.store(grad_A_ptr + row * dim + d, tl.sum(grad_A, axis=0), mask=live_d)
    else:
        tl.store(grad_A_ptr + state_at, grad_A, mask=live_state)
    tl.store(grad_skip_ptr + row * dim + d, tl.sum(grad_skip, axis=0), mask=live_d)
    tl.store(grad_bias_ptr + row * dim + d, tl.sum(grad_bias, axis=0), mask=live_d)
    tl.store(grad_first_ptr + state_at, carry, mask=live_state)
