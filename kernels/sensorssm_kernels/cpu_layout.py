"""How the CPU kernels lay out what they read, and share the strips of the rows among threads.

A strip is 16 channels; what belongs to states lies strip by strip, [strips, N, 16]. Readings are
[tokens, D]; rows of any kind are stretches of the token axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sensorssm_kernels.scan_plan import CPU_BLOCK, CPU_LANES, round_up
from sensorssm_kernels.threads import share

LOG2E = 1.4426950408889634


def share_strips(run, sizes: Sequence[int], *, work: int) -> None:
    """Call ``run(row, part, first strip, last strip)`` for every strip of every row.

    A row is cut in parts of its channels only when rows are fewer than threads: each part adds up
    gradients of B and C of its own. `work` is that of one strip, in vectors.
    """
    rows, strips = sizes
    parts = count_parts(rows, strips)

    def jobs(first: int, last: int) -> None:
        for job in range(first, last):
            row, part = divmod(job, parts)
            run(row, part, strips * part // parts, strips * (part + 1) // parts)

    share(jobs, rows * parts, least=_least_jobs(work * strips // parts))


def pad_states(matrix: Tensor, states: int) -> Tensor:
    """Return B or C with its states filled up to whole tiles."""
    more = round_up(states, CPU_BLOCK) - states
    return F.pad(matrix.detach(), (0, more)) if more else matrix


def stream(x: Tensor) -> Tensor:
    """Return a (B, L, X) tensor as (tokens, X), float32 and contiguous."""
    return x.detach().float().reshape(-1, x.shape[-1]).contiguous()


def channels(x: Tensor | None, dim: int, width: int) -> Tensor:
    """Return a (D,) tensor as float32, filled up with zeros to `width`; zeros when left out."""
    if x is None:
        return torch.zeros(width)
    return F.pad(x.detach().float(), (0, width - dim)).contiguous()


def pack(state: Tensor | None, rows: int, dim: int, states: int) -> Tensor:
    """Return (rows, D, N) strip by strip: a fresh (rows, strips, N, 16) tensor, zeros around."""
    width, size = round_up(dim, CPU_LANES), round_up(states, CPU_BLOCK)
    packed = torch.zeros(rows, width // CPU_LANES, size, CPU_LANES)
    if state is not None:
        padded = F.pad(state.detach().float(), (0, size - states, 0, width - dim))
        packed.copy_(padded.unflatten(1, packed.shape[1::2]).transpose(2, 3))
    return packed


def unpack(packed: Tensor, dim: int, states: int) -> Tensor:
    """Return (rows, strips, N, 16) as (rows, D, N)."""
    return packed.transpose(2, 3).flatten(1, 2)[:, :dim, :states].contiguous()


def fixed(matrix: Tensor, dim: int, states: int) -> Tensor:
    """Return a (D, N) matrix strip by strip, (strips, N, 16)."""
    return pack(matrix[None], 1, dim, states)[0]


def _least_jobs(work: int) -> int:
    """Return how many jobs make a thread worth its 20 microseconds: about 100,000 vectors."""
    return max(1, 100_000 // max(work, 1))


def count_parts(rows: int, strips: int) -> int:
    """Return in how many parts of the channels a row is cut, so that few rows fill all cores.

    Each part adds up its own gradients of B and C.
    """
    return max(1, min(strips, torch.get_num_threads() // max(rows, 1)))
