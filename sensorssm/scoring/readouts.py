"""The readout in closed form, from sums over blocks of time that can be left out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sensorssm.scoring.cell import Cell, state_size
from sensorssm.scoring.memory import memories

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PIECE = 8192  # rows of memory held at once


@dataclass(frozen=True)
class Rows:
    """Training rows: readings, elapsed steps, first row of each asset, and which to learn from."""

    values: FloatArray
    elapsed: FloatArray
    starts: IntArray
    keep: NDArray[np.bool_]

    def spans(self) -> Iterator[tuple[int, int]]:
        """Return each asset's rows as (first, end)."""
        return pairwise([*self.starts, len(self.values)])


@dataclass(frozen=True)
class Moments:
    """Sums over the rows of each block, of the memory with itself and with the next row."""

    memory: FloatArray  # (blocks, F, F)
    cross: FloatArray  # (blocks, F, M)


def _pieces(cell: Cell, rows: Rows) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the memory after each row, piece by piece, so that long training data fit."""
    for first, end in rows.spans():
        state = np.zeros(state_size(cell))
        for start in range(first, end, PIECE):
            part = slice(start, min(start + PIECE, end))
            out = np.empty((part.stop - part.start, len(cell.forecast)))
            memories(cell, state, rows.values[part], rows.elapsed[part], out)
            yield part, out


def gather_moments(cell: Cell, rows: Rows, block: IntArray, blocks: int) -> Moments:
    """Return the moments of `rows`, each added to its block."""
    size, tags = cell.forecast.shape
    sums = Moments(np.zeros((blocks, size, size)), np.zeros((blocks, size, tags)))
    last: FloatArray | None = None
    first_rows = set(rows.starts.tolist())
    for part, memory in _pieces(cell, rows):
        before = np.vstack([memory[:1] if last is None else last, memory[:-1]])
        target, ok = memory[:, :tags], rows.keep[part].copy()
        ahead = ok & (rows.elapsed[part] <= cell.lags + 0.5)
        if part.start in first_rows:
            ahead[0] = False
        last = memory[-1:]
        for k in np.unique(block[part]):
            here = ok & (block[part] == k)
            both = ahead & (block[part] == k)
            sums.memory[k] += memory[here].T @ memory[here]
            sums.cross[k] += before[both].T @ target[both]
    return sums


def fit_readouts(cell: Cell, moments: Moments, left_out: int | None, penalty: float) -> Cell:
    """Return `cell` with the forecast fitted by ridge on all blocks but `left_out`.

    What chance adds to a moment grows with the root of the number of rows, and so does the ridge.
    """
    used = [k for k in range(len(moments.memory)) if k != left_out]
    memory, cross = moments.memory[used].sum(axis=0), moments.cross[used].sum(axis=0)
    rows = max(memory[-1, -1], 1.0)  # the last feature is 1
    ridge = np.full(len(memory), penalty * np.sqrt(rows))
    ridge[-1] = 1e-6  # the constant is all but free
    return cell._replace(forecast=linalg.solve(memory + np.diag(ridge), cross, assume_a="pos"))
