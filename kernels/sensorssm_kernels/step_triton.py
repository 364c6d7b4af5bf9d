"""One reading through the scan on a GPU: read the state once, write it once."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
from __future__ import annotations

import torch
import triton
import triton.language as tl

from sensorssm_kernels.launch_triton import on_own_device
from sensorssm_kernels.math_triton import LOG2E, round_for, sigmoid, softplus
from sensorssm_kernels.scan_plan import count_blocks


@triton.jit
def step_kernel(
    state_ptr, u_ptr, delta_ptr, A_ptr, B_ptr, C_ptr, skip_ptr, z_ptr, bias_ptr, y_ptr, new_ptr,
    HAS_SKIP: tl.constexpr, HAS_Z: tl.constexpr, HAS_BIAS: tl.constexpr, SOFTPLUS: tl.constexpr,
    SHARED: tl.constexpr, DIM: tl.constexpr, STATES: tl.constexpr,
    N: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Advance BD channels of one row; a [BD, N] tile is contiguous in memory."""
    row = tl.program_id(1).to(tl.int64)
    d = tl.program_id(0) * BD + tl.arange(0, BD)
    n = tl.arange(0, N)
    live = d < DIM
    live_state = live[:, None] & (n < STATES)[None, :]
    at = row * DIM + d
    at_state = at[:, None] * STATES + n[None, :]
    h = tl.load(state_ptr + at_state, mask=live_state, other=0.0)
    u = tl.load(u_ptr + at, mask=live, other=0.0).to(tl.float32)
    step = tl.load(delta_ptr + at, mask=live, other=0.0).to(tl.float32)
    if HAS_BIAS:
        step += tl.load(bias_ptr + d, mask=live, other=0.0).to(tl.float32)
    if SOFTPLUS:
        step, _ = softplus(step)
    if SHARED:
        rates = tl.load(A_ptr + d, mask=live, other=0.0)[:, None] * LOG2E
    else:
        at_rate = d[:, None] * STATES + n[None, :]
        rates = tl.load(A_ptr + at_rate, mask=live_state, other=0.0) * LOG2E
    gain = tl.load(B_ptr + row * STATES + n, mask=n < STATES, other=0.0).to(tl.float32)
    read = tl.load(C_ptr + row * STATES + n, mask=n < STATES, other=0.0).to(tl.float32)
    h = tl.exp2(step[:, None] * rates) * h + (step * u)[:, None] * gain[None, :]
    y = tl.sum(h * read[None, :], axis=1)
    if HAS_SKIP:
        y += u * tl.load(skip_ptr + d, mask=live, other=0.0).to(tl.float32)
    if HAS_Z:
        gate = tl.load(z_ptr + at, mask=live, other=0.0).to(tl.float32)
        y = y * (gate * sigmoid(gate))
    tl.store(new_ptr + at_state, h, mask=live_state)
    tl.store(y_ptr + at, round_for(y, y_ptr), mask=live)


@on_own_device
def step(state, u, delta, A, B, C, D_skip, z, delta_bias, softplus: bool):
    """Return y, (B, D), and the new state."""
    batch, dim = u.shape
    states = B.shape[1]
    y, new = torch.empty_like(u), torch.empty_like(state, dtype=torch.float32)
    padded = 1 << (states - 1).bit_length()
    # 16 elements a thread: four wide loads in flight.
    block = max(1, min(1 << (dim - 1).bit_length(), 4096 // padded))
    if batch and dim:
        step_kernel[count_blocks(dim, block), batch](
            state, u, delta, A, B, C, A if D_skip is None else D_skip, u if z is None else z,
            A if delta_bias is None else delta_bias, y, new,
            HAS_SKIP=D_skip is not None, HAS_Z=z is not None, HAS_BIAS=delta_bias is not None,
            SOFTPLUS=softplus, SHARED=A.ndim == 1, DIM=dim, STATES=states, N=padded, BD=block,
            num_warps=8 if block * padded > 2048 else 4,
        )  # fmt: skip
    return y, new
