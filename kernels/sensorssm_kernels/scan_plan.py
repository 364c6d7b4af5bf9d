"""How the implementations lay out the chunk states that a forward keeps for its backward."""

from __future__ import annotations

import torch
from torch import Tensor

from sensorssm_kernels.scan_rows import count_chunks

CPU_LANES = 16  # channels of a strip: float32 lanes of an AVX-512 register
CPU_BLOCK = 4  # states walked together: N is padded to a multiple
CPU_CHUNK = 16  # steps between kept states: two chunks of a strip's states fill a 32 KiB cache


def count_blocks(count: int, block: int) -> int:
    """Return how many blocks cover `count`. `triton.cdiv` does it too, microseconds slower."""
    return -(-count // block)


def round_up(count: int, multiple: int) -> int:
    """Return the smallest multiple that is not under `count`."""
    return (count + multiple - 1) // multiple * multiple


def cut_steps(length: int, chunk: int, segments: int) -> tuple[int, int]:
    """Return how many segments of whole chunks cut `length`, about `segments`, and their steps."""
    chunks = count_blocks(length, chunk)
    steps = count_blocks(chunks, segments) * chunk
    return count_blocks(length, steps), steps


def saved_shape(backend: str, shape, A: Tensor, states: int, cu_seqlens: Tensor | None) -> tuple:
    """Return the shape of the tensor of kept states: chunks, then the states of one; complex twice.

    A chunk is (states, channels) on the CPU, where channels are lanes, and (channels, states) on a
    GPU, where a program's states of all its channels are then one run of memory.
    """
    batch, length, dim = shape
    planes = 2 if A.is_complex() else 1
    chunk = CPU_CHUNK if backend == "cpu" else triton_chunk(states, pairs=A.is_complex())
    chunks = count_chunks(batch, length, chunk, cu_seqlens)
    if backend == "cpu":
        return chunks, planes * round_up(states, CPU_BLOCK), round_up(dim, CPU_LANES)
    return chunks, dim, planes * states


def saved_dtype(backend: str, readings: torch.dtype) -> torch.dtype:
    """Return the dtype of kept states: float32, but on a GPU bfloat16 when the readings are.

    A backward restarts from a kept state for one chunk; gradients of bfloat16 readings end in
    bfloat16 anyway, and kept states are most of the memory that training takes.
    """
    half = backend == "triton" and readings == torch.bfloat16
    return torch.bfloat16 if half else torch.float32


def triton_chunk(states: int, *, pairs: bool = False) -> int:
    """Return the steps between states kept by the Triton forward: a block of its backward."""
    return triton_tile(states, pairs=pairs)["T"]


def triton_tile(states: int, *, pairs: bool = False) -> dict[str, int]:
    """Return steps and channels of the backward's tile for a state size.

    N * BD * T is at most 1,024 elements, 32 a lane: more spills; half as many where states are
    pairs, of a real and an imaginary part. Channels are many rather than steps, for their sums are
    written once a strip, but real tiles keep T at BD or over: those sums then spread over lanes.
    """
    if pairs:
        steps = 16 if states <= 4 else 8 if states <= 8 else 4
        return {"BD": 8 if states <= 16 else 4, "T": steps}
    if states <= 16:
        return {"BD": 8, "T": 16 if states <= 8 else 8}
    return {"BD": 4, "T": 8 if states <= 32 else 4}
