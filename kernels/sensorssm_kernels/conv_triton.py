"""The causal convolution in Triton: every step is its own sum, so programs share no state.

A program owns BT tokens of BD channels. Rows of any kind are one flat axis of tokens, each with a
row and a place in it: computed for a dense batch, read from memory for padded and packed rows.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportIndexIssue=false
from __future__ import annotations

from functools import cached_property

import torch
import triton
import triton.language as tl
from torch import Tensor

from sensorssm_kernels.launch_triton import on_own_device
from sensorssm_kernels.math_triton import round_for, sigmoid
from sensorssm_kernels.scan_plan import count_blocks
from sensorssm_kernels.scan_rows import Rows, count_rows, locate_rows


@triton.jit
def _locate(row_ptr, place_ptr, lengths_ptr, token, tokens, length, RAGGED: tl.constexpr):
    """Return row, place and row length of each token; a padded token's place is past its row."""
    if RAGGED:
        row = tl.load(row_ptr + token, mask=token < tokens, other=0)
        place = tl.load(place_ptr + token, mask=token < tokens, other=0)
        end = tl.load(lengths_ptr + row, mask=token < tokens, other=0)
    else:
        row = token // length
        place = token % length
        end = tl.zeros_like(token) + length
    return row, place, tl.where(token < tokens, end, 0)


@triton.jit
def _reading(x_ptr, state_ptr, row, place, token, d, live, W: tl.constexpr, DIM: tl.constexpr):
    """Return x at a place of each row, [BT, BD]: before the row's first step it is the state."""
    inside = live & (place >= 0)[:, None]
    x = tl.load(x_ptr + token[:, None] * DIM + d[None, :], mask=inside, other=0.0)
    at = row * (W - 1) + (W - 1) + place
    before = live & (place < 0)[:, None]
    state = tl.load(state_ptr + at[:, None] * DIM + d[None, :], mask=before, other=0.0)
    return x.to(tl.float32) + state.to(tl.float32)


@triton.jit
def _weigh(
    x_ptr, weight_ptr, bias, state_ptr, row, place, token, d, live,
    W: tl.constexpr, DIM: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return the weighted sums before the activation, [BT, BD]."""
    out = tl.zeros([BT, BD], tl.float32) + bias[None, :]
    for tap in tl.static_range(W):
        weight = tl.load(weight_ptr + d * W + tap, mask=d < DIM, other=0.0).to(tl.float32)
        back = W - 1 - tap
        reading = _reading(x_ptr, state_ptr, row, place - back, token - back, d, live, W, DIM)
        out += reading * weight[None, :]
    return out


@triton.jit
def _slope(
    grad_y_ptr, x_ptr, weight_ptr, bias, state_ptr, row, place, token, d, live,
    SILU: tl.constexpr, W: tl.constexpr, DIM: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Return the gradients of the sums before the activation, [BT, BD]; 0 where not live."""
    at = token[:, None] * DIM + d[None, :]
    grad = tl.load(grad_y_ptr + at, mask=live, other=0.0).to(tl.float32)
    if SILU:
        out = _weigh(x_ptr, weight_ptr, bias, state_ptr, row, place, token, d, live, W, DIM, BT, BD)
        half = sigmoid(out)
        grad = grad * half * (1.0 + out * (1.0 - half))
    return grad


@triton.jit
def _load_bias(bias_ptr, d, HAS_BIAS: tl.constexpr, DIM: tl.constexpr):
    if HAS_BIAS:
        return tl.load(bias_ptr + d, mask=d < DIM, other=0.0).to(tl.float32)
    else:
        return tl.zeros(d.shape, tl.float32)


@triton.jit(do_not_specialize=["tokens", "length"])
def conv_forward_kernel(
    x_ptr, weight_ptr, bias_ptr, state_ptr, row_ptr, place_ptr, lengths_ptr, y_ptr, tokens, length,
    HAS_BIAS: tl.constexpr, SILU: tl.constexpr, RAGGED: tl.constexpr, W: tl.constexpr,
    DIM: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Write y of BT tokens by BD channels; 0 for padding."""
    token = tl.program_id(0).to(tl.int64) * BT + tl.arange(0, BT)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    row, place, end = _locate(row_ptr, place_ptr, lengths_ptr, token, tokens, length, RAGGED)
    live = (place < end)[:, None] & (d < DIM)[None, :]
    bias = _load_bias(bias_ptr, d, HAS_BIAS, DIM)
    out = _weigh(x_ptr, weight_ptr, bias, state_ptr, row, place, token, d, live, W, DIM, BT, BD)
    if SILU:
        out = out * sigmoid(out)
    at = token[:, None] * DIM + d[None, :]
    exists = (token < tokens)[:, None] & (d < DIM)[None, :]
    tl.store(y_ptr + at, round_for(tl.where(live, out, 0.0), y_ptr), mask=exists)


@triton.jit(do_not_specialize=["tokens", "length"])
def conv_backward_kernel(
    x_ptr, weight_ptr, bias_ptr, state_ptr, row_ptr, place_ptr, lengths_ptr, grad_y_ptr, grad_last_ptr,
    grad_x_ptr, part_weight_ptr, part_bias_ptr, tokens, length,
    HAS_BIAS: tl.constexpr, HAS_LAST: tl.constexpr, SILU: tl.constexpr, RAGGED: tl.constexpr,
    W: tl.constexpr, DIM: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Write the gradient of x, and this program's part of those of weight and bias.

    The slopes of the W - 1 steps after a token are computed anew: cheaper than a trip to memory.
    """
    part = tl.program_id(0).to(tl.int64)
    token = part * BT + tl.arange(0, BT)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    row, place, end = _locate(row_ptr, place_ptr, lengths_ptr, token, tokens, length, RAGGED)
    bias = _load_bias(bias_ptr, d, HAS_BIAS, DIM)
    grad = tl.zeros([BT, BD], tl.float32)
    for ahead in tl.static_range(W):
        live = (place + ahead < end)[:, None] & (d < DIM)[None, :]
        slope = _slope(
            grad_y_ptr, x_ptr, weight_ptr, bias, state_ptr, row, place + ahead, token + ahead, d,
            live, SILU, W, DIM, BT, BD,
        )  # fmt: skip
        weight = tl.load(weight_ptr + d * W + W - 1 - ahead, mask=d < DIM, other=0.0)
        grad += slope * weight.to(tl.float32)[None, :]
        if ahead == 0:
            tl.store(part_bias_ptr + part * DIM + d, tl.sum(slope, axis=0), mask=d < DIM)
            for tap in tl.static_range(W):
                back = W - 1 - tap
                x = _reading(x_ptr, state_ptr, row, place - back, token - back, d, live, W, DIM)
                at = part_weight_ptr + (part * DIM + d) * W + tap
                tl.store(at, tl.sum(slope * x, axis=0), mask=d < DIM)
    if HAS_LAST:
        from_end = end - place
        at = (row + 1) * (W - 1) - from_end
        near = ((from_end > 0) & (from_end < W))[:, None] & (d < DIM)[None, :]
        last = tl.load(grad_last_ptr + at[:, None] * DIM + d[None, :], mask=near, other=0.0)
        grad += last.to(tl.float32)
    at = token[:, None] * DIM + d[None, :]
    exists = (token < tokens)[:, None] & (d < DIM)[None, :]
    tl.store(grad_x_ptr + at, round_for(grad, grad_x_ptr), mask=exists)


@triton.jit
def conv_state_backward_kernel(
    x_ptr, weight_ptr, bias_ptr, state_ptr, starts_ptr, lengths_ptr, grad_y_ptr, grad_last_ptr,
    grad_state_ptr, HAS_BIAS: tl.constexpr, HAS_LAST: tl.constexpr, SILU: tl.constexpr,
    W: tl.constexpr, DIM: tl.constexpr, BT: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """Write the gradient of one row's state; BT is at least W - 1."""
    row = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BD + tl.arange(0, BD)
    start, length = tl.load(starts_ptr + row), tl.load(lengths_ptr + row)
    place = tl.arange(0, BT).to(tl.int64) - (W - 1)  # of the state's readings: before 0
    bias = _load_bias(bias_ptr, d, HAS_BIAS, DIM)
    rows = tl.zeros_like(place) + row
    grad = tl.zeros([BT, BD], tl.float32)
    for ahead in tl.static_range(W):
        then = place + ahead
        live = ((then >= 0) & (then < length) & (place < 0))[:, None] & (d < DIM)[None, :]
        slope = _slope(
            grad_y_ptr, x_ptr, weight_ptr, bias, state_ptr, rows, then, start + then, d, live,
            SILU, W, DIM, BT, BD,
        )  # fmt: skip
        weight = tl.load(weight_ptr + d * W + W - 1 - ahead, mask=d < DIM, other=0.0)
        grad += slope * weight.to(tl.float32)[None, :]
    kept = (place < 0)[:, None] & (d < DIM)[None, :]
    if HAS_LAST:  # a row shorter than the state passes some of it on
        passed = kept & (place + (W - 1) >= length)[:, None]
        at = row * (W - 1) + place + (W - 1) - length
        last = tl.load(grad_last_ptr + at[:, None] * DIM + d[None, :], mask=passed, other=0.0)
        grad += last.to(tl.float32)
    at = row * (W - 1) + (W - 1) + place
    tl.store(grad_state_ptr + at[:, None] * DIM + d[None, :], grad, mask=kept)


@on_own_device
def conv_forward(x, weight, bias, state, lengths, cu_seqlens, silu: bool):
    """Return y and the readings that the next context begins with."""
    call = _Call(x, weight, bias, state, lengths, cu_seqlens, silu)
    y = torch.empty_like(call.x)
    if y.numel():
        conv_forward_kernel[call.grid](*call.inputs, y, *call.sizes, **call.flags)
    return y, _last_readings(call)


@on_own_device
def conv_backward(grad_y, grad_state, x, weight, bias, state, lengths, cu_seqlens, silu: bool):
    """Return the gradients of x, weight, bias and state."""
    call = _Call(x, weight, bias, state, lengths, cu_seqlens, silu)
    grad_last = None if grad_state is None else grad_state.contiguous()
    dim, taps = weight.shape
    grad_x = torch.empty_like(call.x)
    part_weight = call.x.new_empty(call.grid[0], dim, taps, dtype=torch.float32)
    part_bias = call.x.new_empty(call.grid[0], dim, dtype=torch.float32)
    given = grad_y.contiguous(), call.x if grad_last is None else grad_last
    flags = call.flags | {"HAS_LAST": grad_last is not None}
    if x.numel():
        conv_backward_kernel[call.grid](
            *call.inputs, *given, grad_x, part_weight, part_bias, *call.sizes, **flags
        )
    grad_first = None
    if state is not None:
        grad_first = torch.zeros(call.state.shape, device=x.device)
        if grad_first.numel():
            del flags["RAGGED"]
            flags["BT"] = max(2, 1 << (taps - 2).bit_length())
            conv_state_backward_kernel[call.count, call.grid[1]](
                *call.inputs[:4],
                call.rows.starts.contiguous(),
                call.rows.lengths.contiguous(),
                *given,
                grad_first,
                **flags,
            )
        grad_first = grad_first.to(state.dtype)
    return (
        grad_x,
        part_weight.sum(0).to(weight.dtype),
        None if bias is None else part_bias.sum(0).to(bias.dtype),
        grad_first,
    )


class _Call:
    """The tensors of one call, contiguous, and where each token lies."""

    def __init__(self, x, weight, bias, state, lengths, cu_seqlens, silu: bool):
        batch, length, dim = x.shape
        taps, rows = weight.shape[1], count_rows(batch, cu_seqlens)
        self.x, self.count = x.contiguous(), rows
        self.lengths, self.cu_seqlens = lengths, cu_seqlens
        first = x.new_zeros(rows, taps - 1, dim) if state is None else state.to(x.dtype)
        self.state = first.contiguous()
        tensors = weight.contiguous(), self.x if bias is None else bias.contiguous(), self.state
        self.inputs = (self.x, *tensors, *(self._locate_tokens() if self.ragged else (x,) * 3))
        self.sizes = batch * length, max(length, 1)
        # 32 by 32: the backward holds W slopes a token; with 64 channels it fills all registers.
        BD = min(32, max(16, 1 << (dim - 1).bit_length()))
        self.flags = {
            "HAS_BIAS": bias is not None, "SILU": silu, "RAGGED": self.ragged,
            "W": taps, "DIM": dim, "BT": 32, "BD": BD, "num_warps": 4,
        }  # fmt: skip
        self.grid = count_blocks(batch * length, 32), count_blocks(dim, BD)

    @property
    def ragged(self) -> bool:
        return self.lengths is not None or self.cu_seqlens is not None

    @cached_property
    def rows(self) -> Rows:
        return locate_rows(self.x, 1, self.lengths, self.cu_seqlens)

    def _locate_tokens(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the row of each token, its place in it, and the lengths of the rows."""
        token = torch.arange(self.x.shape[0] * self.x.shape[1], device=self.x.device)
        row = torch.searchsorted(self.rows.starts, token, right=True) - 1
        return row, token - self.rows.starts[row], self.rows.lengths


def _last_readings(call: _Call) -> Tensor:
    """Return the last W - 1 readings of every row, from x or, in short rows, from the state."""
    before, dim = call.state.shape[1:]
    if not call.ragged:
        late = call.x[:, max(0, call.x.shape[1] - before) :]
        return torch.cat([call.state[:, late.shape[1] :], late], dim=1)
    place = call.rows.lengths[:, None] - before + torch.arange(before, device=call.x.device)
    index = (place + before).clamp(max=max(before - 1, 0))
    earlier = call.state.gather(1, index[..., None].expand(-1, -1, dim))
    if not call.x.numel():
        return earlier
    token = (call.rows.starts[:, None] + place).clamp(min=0, max=call.sizes[0] - 1)
    return torch.where((place >= 0)[..., None], call.x.view(-1, dim)[token], earlier)
