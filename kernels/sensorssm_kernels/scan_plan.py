"""How the implementations lay out the chunk states that a forward keeps for its backward."""

from __future__ import annotations

from torch import Tensor

from sensorssm_kernels.scan_rows import count_chunks

CPU_LANES = 16  # channels of a strip: float32 lanes of an AVX-512 register
CPU_BLOCK = 4  # states walked together: N is padded to a multiple
CPU_CHUNK = 16  # steps between kept states: two chunks of a strip's states fill a 32 KiB cache


def round_up(count: int, multiple: int) -> int:
    """Return the smallest multiple that is not under `count`."""
    return (count + multiple - 1) // multiple * multiple


def saved_shape(backend: str, shape, A: Tensor, states: int, cu_seqlens: Tensor | None) -> tuple:
    """Return (chunks, states, channels) of the tensor of kept states."""
    batch, length, dim = shape
    chunk = CPU_CHUNK if backend == "cpu" else triton_chunk(states)
    chunks = count_chunks(batch, length, chunk, cu_seqlens)
    if backend == "cpu":
        return chunks, round_up(states, CPU_BLOCK), round_up(dim, CPU_LANES)
    return chunks, states, dim


def triton_chunk(states: int) -> int:
    """Return the steps between states kept by the Triton forward."""
    return 8 if states <= 16 else 4
