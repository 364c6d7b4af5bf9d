"""Where each row of a batch lies in the flat axis of tokens, and where its saved states go.

Dense batches, padded rows and packed rows are one thing to a kernel: rows with a start and a
length. Row r keeps its chunk states from `chunk_at[r]` on; no two rows overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Rows of a flat token axis: int64 tensors, shape (rows,)."""

    starts: Tensor
    lengths: Tensor
    chunk_at: Tensor


def count_rows(batch: int, cu_seqlens: Tensor | None) -> int:
    """Return the number of rows, which is also the number of states."""
    return batch if cu_seqlens is None else cu_seqlens.shape[0] - 1


def count_chunks(batch: int, length: int, chunk: int, cu_seqlens: Tensor | None) -> int:
    """Return how many chunk states are kept at most; known without looking at any length."""
    if cu_seqlens is None:
        return batch * ((length + chunk - 1) // chunk)
    return length // chunk + cu_seqlens.shape[0]


def locate_rows(u: Tensor, chunk: int, lengths: Tensor | None, cu_seqlens: Tensor | None) -> Rows:
    """Return the rows of u, shape (B, L, D)."""
    batch, length = u.shape[:2]
    row = torch.arange(count_rows(batch, cu_seqlens), device=u.device)
    if cu_seqlens is not None:
        edges = cu_seqlens.to(torch.int64)
        # Each row ends at most one chunk later than the tokens before it would fill.
        return Rows(edges[:-1], edges.diff(), edges[:-1] // chunk + row)
    full = torch.full_like(row, length)
    chunks = (length + chunk - 1) // chunk
    return Rows(row * length, full if lengths is None else lengths.to(row), row * chunks)
