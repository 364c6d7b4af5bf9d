"""Which kernels a Triton scan starts, on which grid, in which tiles: a matter of its case alone.

A case is what two calls must have in common to be started alike. What is worked out for one is kept
for the next of its kind: on the host, a scan is then its allocations and its launches.
"""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch

from sensorssm_kernels.launch_triton import Launch
from sensorssm_kernels.scan_backward_triton import scan_backward_kernel, scan_carry_kernel
from sensorssm_kernels.scan_forward_triton import scan_forward_kernel
from sensorssm_kernels.scan_plan import count_blocks, cut_steps, triton_chunk, triton_tile
from sensorssm_kernels.scan_sums_triton import chain_kernel, sum_parts_kernel

_PROGRAMS = 2112  # four warps for each scheduler of 132 multiprocessors
_SHORTEST_SEGMENT = 256
_MANY_CHANNELS = 20_480  # rows times channels
_CASES = 1024  # kinds of call whose launches are kept at hand


@dataclass(frozen=True, eq=False)
class Case:
    """What decides how a call runs; calls of one case are started alike, from the same binaries.

    `find_case` makes them, one for all calls that are alike: so they are compared by identity.
    """

    device: torch.device
    dtypes: tuple[torch.dtype | None, ...]
    batch: int
    length: int
    dim: int
    states: int
    rows: int
    ragged: bool
    shared: bool
    fixed_B: bool
    fixed_C: bool
    has_skip: bool
    has_z: bool
    has_bias: bool
    softplus: bool

    @property
    def sizes(self) -> dict:
        """Return the constants of sizes and shapes that all kernels take."""
        return {"SHARED": self.shared, "DIM": self.dim, "STATES": self.states}

    @property
    def flags(self) -> dict:
        """Return the constants of a pass over the readings."""
        flags = {"HAS_Z": self.has_z, "HAS_BIAS": self.has_bias, "SOFTPLUS": self.softplus}
        return flags | {"FIXED_C": self.fixed_C, **self.sizes}

    @property
    def strips(self) -> int:
        """Return how many programs of the backward share a row's channels."""
        return count_blocks(self.dim, triton_tile(self.states)["BD"])

    @property
    def fixed_sizes(self) -> tuple[int, int]:
        """Return the sizes of B and C where they do not change in time, else 0."""
        return self.dim * self.states * self.fixed_B, self.dim * self.states * self.fixed_C

    @property
    def width(self) -> int:
        """Return how many numbers of a row's gradients do not change in time."""
        size_A = self.dim if self.shared else self.dim * self.states
        return size_A + 2 * self.dim + sum(self.fixed_sizes)

    @property
    def matrix(self) -> int:
        """Return the size of a B or C that changes in time; 0 if none of them does."""
        moves = not (self.fixed_B and self.fixed_C)
        return self.batch * self.length * self.states * moves


@lru_cache(_CASES)
def find_case(*what_decides) -> Case:
    """Return the one `Case` of these fields."""
    return Case(*what_decides)


class Cut(NamedTuple):
    """How rows are cut into segments of time, `steps` each but the last; `count` of all rows."""

    segments: int
    steps: int
    count: int


@lru_cache(_CASES)
def cut_rows(case: Case) -> Cut:
    """Return how rows are cut: into more than one segment only when they are few.

    Segments cost a second pass over the readings, and pay when they fill an idle chip.
    """
    programs = case.rows * case.strips
    segments, steps = 1, case.length
    if not case.ragged and 0 < programs * 4 <= _PROGRAMS:
        segments = min(_PROGRAMS // programs, case.length // _SHORTEST_SEGMENT)
    if segments > 1:
        segments, steps = cut_steps(case.length, triton_chunk(case.states), segments)
    segments = max(1, segments)
    return Cut(segments, steps, case.rows * segments)


@lru_cache(_CASES)
def launch_forward(case: Case, has_first: bool, keep: bool, only_state: bool) -> Launch:
    """Return the pass that writes y and the last states, or `only_state`."""
    cut, tile = cut_rows(case), _forward_tile(case, keep)
    return Launch(
        scan_forward_kernel, (count_blocks(case.dim, tile["BD"]), cut.count),
        (case.length, cut.segments, cut.steps), HAS_SKIP=case.has_skip, HAS_FIRST=has_first,
        RAGGED=case.ragged, FIXED_B=case.fixed_B, KEEP=keep, ONLY_STATE=only_state,
        CHUNK=triton_chunk(case.states), **case.flags, **tile,
    )  # fmt: skip


@lru_cache(_CASES)
def launch_backward(case: Case, has_first: bool, has_last: bool) -> Launch:
    """Return the pass that writes all gradients, those shared by rows or channels in parts."""
    cut, tile = cut_rows(case), _backward_tile(case)
    return Launch(
        scan_backward_kernel, (count_blocks(case.dim, tile["BD"]), cut.count),
        (case.length, cut.segments, cut.steps, case.batch * case.length), HAS_SKIP=case.has_skip,
        HAS_FIRST=has_first, HAS_LAST=has_last, RAGGED=case.ragged, FIXED_B=case.fixed_B,
        **case.flags, **tile,
    )  # fmt: skip


@lru_cache(_CASES)
def launch_carry(case: Case) -> Launch:
    """Return the pass that writes what each segment sends back to the state before it."""
    cut, tile = cut_rows(case), _backward_tile(case)
    return Launch(
        scan_carry_kernel, (count_blocks(case.dim, tile["BD"]), cut.count),
        (case.length, cut.segments, cut.steps), **case.flags, **tile,
    )  # fmt: skip


@lru_cache(_CASES)
def launch_chain(case: Case, has_given: bool, backward: bool) -> Launch:
    """Return the launch that chains the segments of each row."""
    block = 256
    return Launch(
        chain_kernel, (count_blocks(case.dim * case.states, block), case.rows),
        (cut_rows(case).segments,), HAS_GIVEN=has_given, BACKWARD=backward, **case.sizes,
        BLOCK=block, num_warps=4,
    )  # fmt: skip


@lru_cache(_CASES)
def launch_sums(case: Case) -> Launch:
    """Return the launch that adds up the parts of the shared gradients."""
    # Few columns and many rows for what is fixed in time, the other way round for B and C.
    blocks = {"BLOCK": 256, "PARTS": 8, "BLOCK_A": 16, "PARTS_A": 64}
    jobs = count_blocks(case.width, 16) + count_blocks(case.matrix, 256)
    size_B, size_C = case.fixed_sizes
    return Launch(
        sum_parts_kernel, (jobs, 1), (case.matrix, case.strips, cut_rows(case).count),
        HAS_SKIP=case.has_skip, HAS_BIAS=case.has_bias, DIM=case.dim,
        SIZE_A=case.dim if case.shared else case.dim * case.states, SIZE_B=size_B, SIZE_C=size_C,
        **blocks, num_warps=4,
    )  # fmt: skip


def _forward_tile(case: Case, keep: bool) -> dict:
    """Return the forward's tile: T is a multiple of the chunk if states are kept.

    Chosen by timing on an H100. Many channels hide each other's latency and want few instructions:
    wide tiles, longer ones where an exponential serves all states. A warp of few channels has its
    scheduler to itself: it prepares a block ahead, and loads further ahead.
    """
    channels, steps = triton_tile(case.states).values()
    if cut_rows(case).count * case.dim < _MANY_CHANNELS:
        unroll = 1 if keep or case.shared else 2
        tile = _tile(case, 2 * channels, steps, STAGES=6)
        return tile | {"AHEAD": True, "UNROLL": unroll}
    if keep or steps < 8:
        tile = _tile(case, 2 * channels, steps, STAGES=4)
    elif case.shared:
        tile = _tile(case, 4 * channels, steps, STAGES=3)
    else:
        tile = _tile(case, 4 * channels, steps // 2, STAGES=4)
    return tile | {"AHEAD": False, "UNROLL": 1}


def _backward_tile(case: Case) -> dict:
    """Return the backward's tile: T is the chunk."""
    return _tile(case, **triton_tile(case.states), STAGES=3)


def _tile(case: Case, BD: int, T: int, STAGES: int) -> dict:
    """Return a tile of one warp: N, the states padded to a power of two, on NL lanes."""
    padded = 1 << (case.states - 1).bit_length()
    lanes = min(padded, max(1, 32 // BD))
    return {"N": padded, "NL": lanes, "BD": BD, "T": T, "STAGES": STAGES, "num_warps": 1}
