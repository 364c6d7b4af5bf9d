"""Launchers of the Triton scan: which tile, which grid, and the passes over segments of time."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from sensorssm_kernels.launch_triton import Launcher
from sensorssm_kernels.scan_backward_triton import scan_backward_kernel, scan_carry_kernel
from sensorssm_kernels.scan_forward_triton import scan_forward_kernel
from sensorssm_kernels.scan_plan import (
    count_blocks,
    cut_steps,
    saved_dtype,
    saved_shape,
    triton_chunk,
    triton_tile,
)
from sensorssm_kernels.scan_rows import Rows, locate_rows
from sensorssm_kernels.scan_sums_triton import chain_kernel, sum_parts_kernel

_PROGRAMS = 2112  # four warps for each scheduler of 132 multiprocessors
_SHORTEST_SEGMENT = 256
_MANY_CHANNELS = 20_480  # rows times channels

_forward, _backward = Launcher(scan_forward_kernel), Launcher(scan_backward_kernel)
_carry, _chain_up = Launcher(scan_carry_kernel), Launcher(chain_kernel)
_sum_up = Launcher(sum_parts_kernel)


def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    call = _Call.of(u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus)
    y = _blank(lengths)(call.u)
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
    blank = _blank(lengths)
    grad_u, grad_delta = blank(call.u), blank(call.delta)
    grad_z = None if z is None else blank(call.z)
    grad_first = None if initial_state is None else call.new_state()
    parts, rows = _new_parts(call, zeros=lengths is not None)
    _run_backward(
        call, saved, grad_y, grad_last, grad_u, grad_delta, grad_z, grad_first, parts, rows
    )
    grad_A, grad_B, grad_C, grad_skip, grad_bias = _sum(call, parts, rows)
    if initial_state is not None:
        grad_first = call.first_of_row(grad_first).to(initial_state.dtype)
    return (
        grad_u, grad_delta, grad_A, grad_B, grad_C, grad_skip, grad_z, grad_bias, grad_first
    )  # fmt: skip


@dataclass(slots=True)
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
    steps: int
    softplus: bool

    @classmethod
    def of(cls, u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus) -> _Call:
        batch, length, dim = u.shape
        chunk, rows, segments, steps, count = triton_chunk(B.shape[2]), None, 1, length, batch
        if lengths is not None or cu_seqlens is not None:
            rows = locate_rows(u, chunk, lengths, cu_seqlens)
            count = len(rows.starts)
        else:
            segments = _count_segments(batch, length, dim, B.shape[2])
            if segments > 1:
                segments, steps = cut_steps(length, chunk, segments)
                count = batch * segments
        tensors = (u, delta, A, B, C, D_skip, z, delta_bias)
        tensors = [None if x is None else x.contiguous() for x in tensors]
        return cls(*tensors, rows, count, segments, steps, softplus)

    @property
    def dim(self) -> int:
        return self.u.shape[2]

    @property
    def states(self) -> int:
        return self.B.shape[2]

    @property
    def sizes(self) -> dict:
        """Return the sizes that are compiled in."""
        return {"SHARED": self.A.ndim == 1, "DIM": self.dim, "STATES": self.states}

    @property
    def flags(self) -> dict:
        return {"HAS_Z": self.z is not None, "HAS_BIAS": self.delta_bias is not None}

    @property
    def places(self) -> tuple[Tensor, ...]:
        rows = self.rows
        return (self.A,) * 3 if rows is None else (rows.starts, rows.lengths, rows.chunk_at)

    @property
    def cuts(self) -> tuple[int, int, int]:
        """Return the length of a row, how many segments it has, and their length."""
        return self.u.shape[1], self.segments, self.steps

    def new_state(self) -> Tensor:
        """Return fresh memory for a state per row, or per segment of one."""
        return self.u.new_empty(self.count, self.dim, self.states, dtype=torch.float32)

    def new_channels(self) -> Tensor:
        return self.u.new_empty(self.count, self.dim, dtype=torch.float32)

    def last_of_row(self, state: Tensor) -> Tensor:
        return state if self.segments == 1 else state[self.segments - 1 :: self.segments].clone()

    def first_of_row(self, state: Tensor) -> Tensor:
        return state if self.segments == 1 else state[:: self.segments].clone()


def _new_parts(call: _Call, *, zeros: bool) -> tuple[Tensor, Tensor]:
    """Return memory for what each program adds to the gradients that channels or rows share.

    B's and C's, (2, strips, B, L, N), by strip of channels; A's, D_skip's and bias's side by side,
    (rows, A's size + 2 D), by row.
    """
    strips = count_blocks(call.dim, triton_tile(call.states)["BD"])
    # Sums over channels of bfloat16 readings end in bfloat16: their parts may as well.
    dtype = torch.bfloat16 if call.u.dtype == torch.bfloat16 else torch.float32
    parts = call.u.new_empty(2, strips, *call.B.shape, dtype=dtype)
    rows = call.u.new_empty(call.count, call.A.numel() + 2 * call.dim, dtype=torch.float32)
    return parts.zero_() if zeros else parts, rows


def _run_forward(call, first, y, state, saved, sums, *, keep: bool, only_state: bool) -> None:
    tile = _forward_tile(call, keep)
    grid = (count_blocks(call.dim, tile["BD"]), call.count)
    if not grid[0] * grid[1]:
        return
    tensors = (
        call.u, call.delta, call.A, call.B, call.C, _or(call.D_skip, call.A), _or(call.z, call.u),
        _or(call.delta_bias, call.A), *call.places, _or(first, call.A), y, state, saved, sums,
    )  # fmt: skip
    _forward(
        grid, tensors, call.cuts, HAS_SKIP=call.D_skip is not None, **call.flags,
        HAS_FIRST=first is not None, SOFTPLUS=call.softplus, RAGGED=call.rows is not None,
        KEEP=keep, ONLY_STATE=only_state, CHUNK=triton_chunk(call.states), **call.sizes, **tile,
    )  # fmt: skip


def _run_backward(
    call, saved, grad_y, grad_last, grad_u, grad_delta, grad_z, grad_first, parts, rows
) -> None:
    tile = _backward_tile(call)
    grid = (count_blocks(call.dim, tile["BD"]), call.count)
    if not grid[0] * grid[1]:
        return
    tensors = (
        call.u, call.delta, call.A, call.B, call.C, _or(call.D_skip, call.A), _or(call.z, call.u),
        _or(call.delta_bias, call.A), *call.places, saved, grad_y, _or(grad_last, call.A),
        grad_u, grad_delta, _or(grad_z, grad_u), _or(grad_first, call.A), parts, rows,
    )  # fmt: skip
    tokens = call.u.shape[0] * call.u.shape[1]
    _backward(
        grid, tensors, (*call.cuts, tokens), HAS_SKIP=call.D_skip is not None, **call.flags,
        HAS_FIRST=grad_first is not None, HAS_LAST=grad_last is not None, SOFTPLUS=call.softplus,
        RAGGED=call.rows is not None, **call.sizes, **tile,
    )  # fmt: skip


def _run_carry(call, grad_y, carry) -> None:
    """Write what each segment sends back to the state before it."""
    tile = _backward_tile(call)
    tensors = (
        call.delta, call.A, call.C, _or(call.z, call.u), _or(call.delta_bias, call.A), grad_y, carry
    )  # fmt: skip
    grid = (count_blocks(call.dim, tile["BD"]), call.count)
    _carry(grid, tensors, call.cuts, **call.flags, SOFTPLUS=call.softplus, **call.sizes, **tile)


def _chain(call, ends, sums, given, *, backward: bool) -> Tensor:
    """Return the state (or its gradient) that comes into each segment."""
    into, block = torch.empty_like(ends), 256
    _chain_up(
        (count_blocks(call.dim * call.states, block), call.count // call.segments),
        (ends, sums, call.A, _or(given, call.A), into), (call.segments,),
        HAS_GIVEN=given is not None, BACKWARD=backward, **call.sizes, BLOCK=block, num_warps=4,
    )  # fmt: skip
    return into


def _sum(call: _Call, parts: Tensor, rows: Tensor) -> tuple:
    """Return the gradients of A, B, C, D_skip and bias: all parts added up in one launch."""
    shared = (call.A, call.B, call.C, call.D_skip, call.delta_bias)
    sums = [None if x is None else torch.empty_like(x) for x in shared]
    grad_A, grad_B, grad_C, grad_skip, grad_bias = sums
    # Few columns and many rows for A, the other way round for B and C.
    blocks = {"BLOCK": 256, "PARTS": 8, "BLOCK_A": 16, "PARTS_A": 64}
    jobs = count_blocks(rows.shape[1], 16) + count_blocks(call.B.numel(), 256)
    if jobs:
        tensors = (
            parts, rows, grad_B, grad_C, grad_A, _or(grad_skip, call.A), _or(grad_bias, call.A)
        )  # fmt: skip
        _sum_up(
            (jobs, 1), tensors, (call.B.numel(), parts.shape[1], call.count),
            HAS_SKIP=grad_skip is not None, HAS_BIAS=grad_bias is not None,
            SIZE_A=call.A.numel(), DIM=call.dim, **blocks, num_warps=4,
        )  # fmt: skip
    return tuple(sums)


def _forward_tile(call: _Call, keep: bool) -> dict:
    """Return the forward's tile: at most 64 elements a lane; T a multiple of the chunk if kept.

    Chosen by timing on an H100. Many channels hide each other's latency and want few instructions
    (wide tiles); few channels of float32 want long blocks, unless an exponential serves all states.
    """
    channels, steps = triton_tile(call.states).values()
    if call.count * call.dim >= _MANY_CHANNELS and not keep and steps >= 8:
        return _tile(call.states, 4 * channels, steps // 2, 4)
    if call.B.dtype == torch.float32 and call.A.ndim == 2 and not keep:
        return _tile(call.states, channels, 2 * steps, 3)
    return _tile(call.states, 2 * channels, steps, 4)


def _backward_tile(call: _Call) -> dict:
    """Return the backward's tile: T is the chunk."""
    return _tile(call.states, *triton_tile(call.states).values(), 3)


@lru_cache(maxsize=64)
def _tile(states: int, BD: int, T: int, STAGES: int) -> dict:
    """Return a tile of one warp: N, the states padded to a power of two, on NL lanes."""
    padded = 1 << (states - 1).bit_length()
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


def _blank(lengths: Tensor | None):
    """Return what makes a tensor like another: padding is not written, and must be zero."""
    return torch.empty_like if lengths is None else torch.zeros_like


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _or(tensor: Tensor | None, stand_in: Tensor) -> Tensor:
    """Return a pointer for an argument that the kernel will not read."""
    return stand_in if tensor is None else tensor
