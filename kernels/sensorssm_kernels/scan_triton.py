"""Launchers of the Triton scan: which tile, which grid, and the passes over segments of time."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sensorssm_kernels.scan_plan import (
    count_blocks,
    saved_dtype,
    saved_shape,
    triton_chunk,
    triton_tile,
)
from sensorssm_kernels.scan_rows import Rows, cut_rows, locate_rows
from sensorssm_kernels.scan_triton_kernels import (
    chain_kernel,
    scan_backward_kernel,
    scan_carry_kernel,
    scan_forward_kernel,
    sum_parts_kernel,
)

_PROGRAMS = 2112  # four warps for each scheduler of 132 multiprocessors
_SHORTEST_SEGMENT = 256
_MANY_CHANNELS = 20_480  # rows times channels


def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    call = _Call.of(u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus)
    y = u.new_zeros(u.shape) if lengths is not None else u.new_empty(u.shape)
    shape = saved_shape("triton", u.shape, A, call.states, cu_seqlens)
    saved = u.new_empty(shape if keep else (0, *shape[1:]), dtype=saved_dtype("triton", u.dtype))
    state, first = call.new_state(), _contiguous(initial_state)
    if call.segments > 1:
        ends, sums = call.new_state(), call.new_channels()
        _run_forward(call, None, y, ends, saved, sums, keep=False, only_state=True)
        first = _chain(call, ends, sums, first, backward=False)
    _run_forward(call, first, y, state, saved, saved, keep=keep, only_state=False)
    return y, call.last_of_row(state), saved


def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    call = _Call.of(u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus)
    grad_y, grad_last = grad_y.contiguous(), _contiguous(grad_state)
    if call.segments > 1:
        ends, sums = call.new_state(), call.new_channels()
        _run_forward(call, None, grad_y, ends, saved, sums, keep=False, only_state=True)
        _run_carry(call, grad_y, ends)
        grad_last = _chain(call, ends, sums, grad_last, backward=True)
    blank = torch.zeros_like if lengths is not None else torch.empty_like
    grad_u, grad_delta = blank(call.u), blank(call.delta)
    grad_z = None if z is None else blank(call.z)
    parts = _Parts.empty(call, zeros=lengths is not None)
    grad_first = call.new_state()
    _run_backward(call, saved, grad_y, grad_last, grad_u, grad_delta, grad_z, parts, grad_first)
    grad_A, grad_B, grad_C, grad_skip, grad_bias = _sum(call, parts)
    if initial_state is not None:
        grad_first = call.first_of_row(grad_first).to(initial_state.dtype)
    return (
        grad_u, grad_delta, grad_A, grad_B, grad_C, grad_skip, grad_z, grad_bias,
        None if initial_state is None else grad_first,
    )  # fmt: skip


@dataclass(frozen=True)
class _Call:
    """The tensors of one call, contiguous, and how its rows are cut into segments of time."""

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D_skip: Tensor | None
    z: Tensor | None
    delta_bias: Tensor | None
    rows: Rows | None
    count: int
    segments: int
    softplus: bool

    @classmethod
    def of(cls, u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus) -> _Call:
        batch, length, dim = u.shape
        chunk, rows, segments, count = triton_chunk(B.shape[2]), None, 1, batch
        if lengths is not None or cu_seqlens is not None:
            rows = locate_rows(u, chunk, lengths, cu_seqlens)
            count = len(rows.starts)
        else:
            segments = _count_segments(batch, length, dim, B.shape[2])
            if segments > 1:
                rows, segments = cut_rows(u, chunk, segments)
                count = batch * segments
        tensors = (u, delta, A, B, C, D_skip, z, delta_bias)
        return cls(*(_contiguous(x) for x in tensors), rows, count, segments, softplus)

    @property
    def dim(self) -> int:
        return self.u.shape[2]

    @property
    def states(self) -> int:
        return self.B.shape[2]

    @property
    def sizes(self) -> dict:
        """Return the sizes that are compiled in, and the flags all kernels know."""
        return {"DIM": self.dim, "STATES": self.states, "SHARED": self.A.ndim == 1}

    @property
    def flags(self) -> dict:
        return self.sizes | {
            "HAS_Z": self.z is not None,
            "HAS_BIAS": self.delta_bias is not None,
            "SOFTPLUS": self.softplus,
        }

    @property
    def places(self) -> tuple[Tensor, ...]:
        rows = self.rows
        return (self.A,) * 3 if rows is None else (rows.starts, rows.lengths, rows.chunk_at)

    def new_state(self) -> Tensor:
        """Return fresh memory for a state per row, or per segment of one."""
        return self.u.new_empty(self.count, self.dim, self.states, dtype=torch.float32)

    def new_channels(self) -> Tensor:
        return self.u.new_empty(self.count, self.dim, dtype=torch.float32)

    def last_of_row(self, state: Tensor) -> Tensor:
        return state if self.segments == 1 else state[self.segments - 1 :: self.segments].clone()

    def first_of_row(self, state: Tensor) -> Tensor:
        return state if self.segments == 1 else state[:: self.segments].clone()


@dataclass(frozen=True)
class _Parts:
    """What each program adds to the gradients that rows or channels share."""

    B: Tensor
    C: Tensor
    A: Tensor
    D_skip: Tensor
    delta_bias: Tensor

    @classmethod
    def empty(cls, call: _Call, *, zeros: bool) -> _Parts:
        strips = count_blocks(call.dim, triton_tile(call.states)["BD"])
        # Sums over channels of bfloat16 readings end in bfloat16: their parts may as well.
        dtype = torch.bfloat16 if call.u.dtype == torch.bfloat16 else torch.float32
        fresh = torch.zeros if zeros else torch.empty
        B, C = (fresh(strips, *call.B.shape, dtype=dtype, device=call.u.device) for _ in range(2))
        A = call.u.new_empty(call.count, *call.A.shape, dtype=torch.float32)
        return cls(B, C, A, call.new_channels(), call.new_channels())


def _run_forward(call, first, y, state, saved, sums, *, keep: bool, only_state: bool) -> None:
    tile = _forward_tile(call, keep)
    grid = (count_blocks(call.dim, tile["BD"]), call.count)
    if not grid[0] * grid[1]:
        return
    scan_forward_kernel[grid](
        call.u, call.delta, call.A, call.B, call.C, _or(call.D_skip, call.A), _or(call.z, call.u),
        _or(call.delta_bias, call.A), *call.places, _or(first, call.A), y, state, saved, sums,
        call.u.shape[1], **call.flags, HAS_SKIP=call.D_skip is not None,
        HAS_FIRST=first is not None, RAGGED=call.rows is not None, KEEP=keep,
        ONLY_STATE=only_state, CHUNK=triton_chunk(call.states), **tile,
    )  # fmt: skip


def _run_backward(
    call, saved, grad_y, grad_last, grad_u, grad_delta, grad_z, parts, grad_first
) -> None:
    tile = _backward_tile(call)
    grid = (count_blocks(call.dim, tile["BD"]), call.count)
    if not grid[0] * grid[1]:
        return
    scan_backward_kernel[grid](
        call.u, call.delta, call.A, call.B, call.C, _or(call.D_skip, call.A), _or(call.z, call.u),
        _or(call.delta_bias, call.A), *call.places, saved, grad_y, _or(grad_last, call.A),
        grad_u, grad_delta, _or(grad_z, grad_u), parts.A, parts.B, parts.C,
        parts.D_skip, parts.delta_bias, grad_first, call.u.shape[1],
        call.u.shape[0] * call.u.shape[1], **call.flags, HAS_SKIP=call.D_skip is not None,
        HAS_LAST=grad_last is not None, RAGGED=call.rows is not None, **tile,
    )  # fmt: skip


def _run_carry(call, grad_y, carry) -> None:
    """Write what each segment sends back to the state before it."""
    tile = _backward_tile(call)
    scan_carry_kernel[count_blocks(call.dim, tile["BD"]), call.count](
        call.delta, call.A, call.C, _or(call.z, call.u), _or(call.delta_bias, call.A),
        *call.places[:2], grad_y, carry, **call.flags, **tile,
    )  # fmt: skip


def _chain(call, ends, sums, given, *, backward: bool) -> Tensor:
    """Return the state (or its gradient) that comes into each segment."""
    into, block = torch.empty_like(ends), 256
    rows = call.count // call.segments
    chain_kernel[count_blocks(call.dim * call.states, block), rows](
        ends, sums, call.A, _or(given, call.A), into, call.segments, HAS_GIVEN=given is not None,
        BACKWARD=backward, **call.sizes, BLOCK=block, num_warps=4,
    )  # fmt: skip
    return into


def _sum(call: _Call, parts: _Parts) -> tuple:
    """Return the gradients of A, B, C, D_skip and bias: all parts added up in one launch."""
    shared = (call.A, call.B, call.C, call.D_skip, call.delta_bias)
    sums = [None if x is None else torch.empty_like(x) for x in shared]
    grad_A, grad_B, grad_C, grad_skip, grad_bias = sums
    # Few columns and many rows for A, the other way round for B and C.
    blocks = {"BLOCK": 256, "PARTS": 8, "BLOCK_A": 16, "PARTS_A": 256}
    grid = count_blocks(call.A.numel(), 16) + count_blocks(call.B.numel(), 256)
    if grid:
        sum_parts_kernel[(grid,)](
            parts.B, parts.C, parts.A, parts.D_skip, parts.delta_bias, grad_B, grad_C, grad_A,
            _or(grad_skip, call.A), _or(grad_bias, call.A), call.B.numel(), len(parts.B),
            call.count, HAS_SKIP=grad_skip is not None, HAS_BIAS=grad_bias is not None,
            SIZE_A=call.A.numel(), DIM=call.dim, **blocks, num_warps=4,
        )  # fmt: skip
    return tuple(sums)


def _forward_tile(call: _Call, keep: bool) -> dict:
    """Return the forward's tile: at most 64 elements a lane; T a multiple of the chunk if kept.

    Chosen by timing on an H100. Many channels hide each other's latency and want few instructions
    (wide tiles); few channels want long blocks, and 16-bit B and C widened a block ahead.
    """
    channels, steps = triton_tile(call.states).values()
    if call.count * call.dim >= _MANY_CHANNELS:
        shape = (2 * channels, steps) if keep or steps < 8 else (4 * channels, steps // 2)
        return _tile(call, *shape, STAGES=4) | {"CARRY": False}
    if call.B.dtype != torch.float32:
        return _tile(call, 2 * channels, steps, STAGES=4) | {"CARRY": True}
    return _tile(call, channels, 2 * steps, STAGES=3) | {"CARRY": False}


def _backward_tile(call: _Call) -> dict:
    """Return the backward's tile: T is the chunk."""
    return _tile(call, **triton_tile(call.states), STAGES=3)


def _tile(call: _Call, BD: int, T: int, STAGES: int) -> dict:
    """Return a tile of one warp: N, the states padded to a power of two, on NL lanes."""
    padded = 1 << (call.states - 1).bit_length()
    lanes = min(padded, max(1, 32 // BD))
    return {"N": padded, "NL": lanes, "BD": BD, "T": T, "STAGES": STAGES, "num_warps": 1}


def _count_segments(batch: int, length: int, dim: int, states: int) -> int:
    """Return in how many segments of time to cut each row: more than 1 only when rows are few.

    Segments cost a second pass over the readings, and pay when they fill an idle chip.
    """
    programs = batch * count_blocks(dim, triton_tile(states)["BD"])
    if not programs or programs * 4 > _PROGRAMS:
        return 1
    return max(1, min(_PROGRAMS // programs, length // _SHORTEST_SEGMENT))


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _or(tensor: Tensor | None, stand_in: Tensor) -> Tensor:
    """Return a pointer for an argument that the kernel will not read."""
    return stand_in if tensor is None else tensor
