"""The Triton scan on the host: its memory, and its passes over segments of time."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
from __future__ import annotations

import torch
from torch import Tensor

from sensorssm_kernels.launch_triton import on_own_device
from sensorssm_kernels.scan_cases_triton import (
    cut_rows,
    find_case,
    launch_backward,
    launch_carry,
    launch_chain,
    launch_forward,
    launch_sums,
)
from sensorssm_kernels.scan_plan import saved_dtype, saved_shape, triton_chunk
from sensorssm_kernels.scan_rows import count_rows, locate_rows


@on_own_device
def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    call = _Call(
        u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus
    )
    case = call.case
    y = _blank(lengths)(call.u)
    shape = saved_shape("triton", u.shape, A, case.states, cu_seqlens)
    saved = u.new_empty(shape if keep else (0, *shape[1:]), dtype=saved_dtype("triton", u.dtype))
    state, first = call.new_state(), _contiguous(initial_state)
    if call.cut.segments > 1:
        ends, sums = _run_segments(call, y)
        first = _chain(call, ends, sums, first, backward=False)
    start = launch_forward(case, first is not None, keep, only_state=False)
    start(*call.inputs, _or(first, call.A), y, state, saved, saved)
    return y, call.last_of_row(state), saved


@on_own_device
def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    call = _Call(
        u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus
    )
    case = call.case
    grad_y, grad_last = grad_y.contiguous(), _contiguous(grad_state)
    if call.cut.segments > 1:
        ends, sums = _run_segments(call, grad_y)
        launch_carry(case)(*call.inputs, grad_y, ends)
        grad_last = _chain(call, ends, sums, grad_last, backward=True)
    blank = _blank(lengths)
    grad_u, grad_delta = blank(call.u), blank(call.delta)
    grad_z = None if z is None else blank(call.z)
    grad_first = None if initial_state is None else call.new_state()
    parts, rows = _new_parts(call, zeros=lengths is not None)
    start = launch_backward(case, grad_first is not None, grad_last is not None)
    start(
        *call.inputs, saved, grad_y, _or(grad_last, call.A), grad_u, grad_delta,
        _or(grad_z, grad_u), _or(grad_first, call.A), parts, rows,
    )  # fmt: skip
    grad_A, grad_B, grad_C, grad_skip, grad_bias = _sum(call, parts, rows)
    if initial_state is not None:
        grad_first = call.first_of_row(grad_first).to(initial_state.dtype)
    return (
        grad_u, grad_delta, grad_A, grad_B, grad_C, grad_skip, grad_z, grad_bias, grad_first
    )  # fmt: skip


class _Call:
    """The tensors of one call, contiguous; `inputs` are what every pass over the readings reads."""

    def __init__(
        self, u, delta, A, B, C, D_skip, z, delta_bias, first, lengths, cu_seqlens, softplus
    ) -> None:
        batch, length, dim = u.shape
        ragged = lengths is not None or cu_seqlens is not None
        given = (u, delta, A, B, C, D_skip, z, delta_bias, first)
        dtypes = tuple([None if x is None else x.dtype for x in given])
        self.case = find_case(
            u.device, dtypes, batch, length, dim, B.shape[-1], count_rows(batch, cu_seqlens), ragged,
            A.ndim == 1, B.ndim == 2, C.ndim == 2, D_skip is not None, z is not None,
            delta_bias is not None, softplus,
        )  # fmt: skip
        self.cut = cut_rows(self.case)
        self.u, self.delta, self.A = u.contiguous(), delta.contiguous(), A.contiguous()
        self.B, self.C = B.contiguous(), C.contiguous()
        self.D_skip, self.delta_bias = _contiguous(D_skip), _contiguous(delta_bias)
        self.z = _contiguous(z)
        places = (self.A,) * 3
        if ragged:
            rows = locate_rows(u, triton_chunk(self.case.states), lengths, cu_seqlens)
            places = rows.starts, rows.lengths, rows.chunk_at
        self.inputs = (
            self.u, self.delta, self.A, self.B, self.C, _or(self.D_skip, self.A),
            _or(self.z, self.u), _or(self.delta_bias, self.A), *places,
        )  # fmt: skip

    def new_state(self) -> Tensor:
        """Return fresh memory for a state per row, or per segment of one."""
        sizes = self.cut.count, self.case.dim, self.case.states
        return self.u.new_empty(sizes, dtype=torch.float32)

    def last_of_row(self, state: Tensor) -> Tensor:
        segments = self.cut.segments
        return state if segments == 1 else state[segments - 1 :: segments].clone()

    def first_of_row(self, state: Tensor) -> Tensor:
        segments = self.cut.segments
        return state if segments == 1 else state[::segments].clone()


def _new_parts(call: _Call, *, zeros: bool) -> tuple[Tensor, Tensor]:
    """Return memory for what each program adds to the gradients that channels or rows share.

    B's and C's, (2, strips, size), by strip of channels; what does not change in time, side by
    side, (rows, width), by row.
    """
    case = call.case
    # Sums over channels of bfloat16 readings end in bfloat16: their parts may as well.
    dtype = torch.bfloat16 if call.u.dtype == torch.bfloat16 else torch.float32
    parts = call.u.new_empty(2, case.strips, case.matrix, dtype=dtype)
    rows = call.u.new_empty(call.cut.count, case.width, dtype=torch.float32)
    return parts.zero_() if zeros else parts, rows


def _run_segments(call: _Call, unread: Tensor) -> tuple[Tensor, Tensor]:
    """Return each segment's last state, walked from zero, and the sums of its steps."""
    case = call.case
    ends = call.new_state()
    sums = call.u.new_empty(call.cut.count, case.dim, dtype=torch.float32)
    start = launch_forward(case, has_first=False, keep=False, only_state=True)
    start(*call.inputs, call.A, unread, ends, ends, sums)
    return ends, sums


def _chain(call: _Call, ends, sums, given, *, backward: bool) -> Tensor:
    """Return the state (or its gradient) that comes into each segment."""
    into = torch.empty_like(ends)
    start = launch_chain(call.case, given is not None, backward)
    start(ends, sums, call.A, _or(given, call.A), into)
    return into


def _sum(call: _Call, parts: Tensor, rows: Tensor) -> tuple:
    """Return the gradients of A, B, C, D_skip and bias: all parts added up in one launch."""
    shared = (call.A, call.B, call.C, call.D_skip, call.delta_bias)
    sums = [None if x is None else torch.empty_like(x) for x in shared]
    grad_A, grad_B, grad_C, grad_skip, grad_bias = sums
    start = launch_sums(call.case)
    start(parts, rows, grad_B, grad_C, grad_A, _or(grad_skip, call.A), _or(grad_bias, call.A))
    return tuple(sums)


def _blank(lengths: Tensor | None):
    """Return what makes a tensor like another: padding is not written, and must be zero."""
    return torch.empty_like if lengths is None else torch.zeros_like


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _or(tensor: Tensor | None, stand_in: Tensor) -> Tensor:
    """Return a pointer for an argument that the kernel will not read."""
    return stand_in if tensor is None else tensor
