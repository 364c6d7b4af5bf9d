"""The detector's coefficients in closed form, each judged on rows that it was not fitted on.

One pass gathers the moments of the memory in blocks of time. Every coefficient comes from sums of
them: leaving a block out is a subtraction, so held-back residuals of all rows cost a few solves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.signal import lfilter

from sensorssm.scoring.calibrate import KNOTS, Table, apply_table, fit_table
from sensorssm.scoring.cell import (
    Cell,
    evidences,
    fold,
    memories,
    residuals,
    state_size,
    statistics_of,
)
from sensorssm.scoring.scaling import fit_scaling

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PENALTIES = (1.0, 10.0, 100.0, 1000.0)
PIECE = 8192  # rows of memory held at once


@dataclass(frozen=True)
class Options:
    """What the cell looks at; the defaults are for all plants."""

    lags: int = 5
    averages: tuple[float, ...] = (8.0,)  # time constants of the memory, steps
    energy: tuple[float, ...] = (3.0, 10.0, 20.0)
    shift: tuple[float, ...] = (10.0,)
    peer: tuple[float, ...] = (20.0,)
    peer_vote: float = 1.0
    reference: float = 300.0  # time constant of what the peers' residual is compared with
    shrink: float = 0.05
    penalty: float = 5.0
    slow_penalty: float = 0.0
    floor: float = 1e-3
    blocks: int = 5


@dataclass(frozen=True)
class Rows:
    """Training rows: readings, elapsed steps, first row of each asset, and which to learn from."""

    values: FloatArray
    elapsed: FloatArray
    starts: NDArray[np.int64]
    keep: BoolArray

    def spans(self) -> Iterator[tuple[int, int]]:
        """Return each asset's rows as (first, end)."""
        return zip(self.starts, [*self.starts[1:], len(self.values)], strict=True)


def fit_cell(rows: Rows, options: Options) -> tuple[Cell, FloatArray]:
    """Return the fitted cell and the scores (n,) of the rows while they were held back."""
    blank = _blank_cell(rows, options)
    block = _blocks(rows, options.blocks)
    moments = _moments(blank, rows, block, options.blocks)
    whole = _readouts(blank, moments, None, options)
    parts = [_readouts(blank, moments, k, options) for k in range(options.blocks)]
    ahead, peer = _held_back(parts, rows, block)
    cells = [
        _spreads(cell, ahead, peer, rows, rows.keep & (block != k), options)
        for k, cell in enumerate(parts)
    ]
    stats = _held_back_stats(cells, rows, block)
    cell = _calibrated(_spreads(whole, ahead, peer, rows, rows.keep, options), stats[rows.keep])
    return cell, _held_back_scores(cell, stats)


def _blocks(rows: Rows, count: int) -> NDArray[np.int64]:
    """Return each row's block: `count` stretches of equal numbers of rows."""
    return np.arange(len(rows.values)) * count // len(rows.values)


def _blank_cell(rows: Rows, options: Options) -> Cell:
    scaling = fit_scaling(rows.values[rows.keep])
    tags, slow = len(scaling.center), len(options.averages)
    scored = ~(scaling.fixed | scaling.informs)
    if not scored.any():
        scored = ~scaling.fixed  # nothing but switches: then they score
    peers = len(options.peer)
    count = 2 + len(options.energy) + len(options.shift) + peers
    return Cell(
        center=scaling.center,
        scale=scaling.scale,
        scored=scored.astype(np.float64),
        fixed=scaling.fixed.astype(np.float64),
        novelty=float(np.log10(rows.keep.sum() + 1.0)),
        lags=options.lags,
        decay=np.exp(-1.0 / np.array(options.averages)),
        forecast=np.zeros((tags * (options.lags + slow) + 1, tags)),
        precision=np.zeros((tags, tags)),
        spread=np.ones(tags),
        peers=np.zeros((tags * (1 + slow) + 1, tags)),
        peer_mean=np.zeros((peers, tags)),
        peer_var=np.ones((peers, tags)),
        energy_gain=1.0 / np.array(options.energy),
        shift_gain=1.0 / np.array(options.shift),
        peer_gain=1.0 / np.array(options.peer),
        reference_gain=1.0 / options.reference,
        votes=_votes(options),
        knots=np.tile(np.linspace(0.0, 1.0, KNOTS), (count, 1)),
        levels=np.zeros((count, KNOTS)),
        slope=np.zeros(count),
    )


def _votes(options: Options) -> FloatArray:
    """Return the statistics' weights: one each, and together `peer_vote` for the peers."""
    events = 1 + len(options.energy) + len(options.shift)
    peers = max(len(options.peer), 1)
    votes = np.r_[np.ones(events), np.full(len(options.peer), options.peer_vote / peers)]
    return votes / votes.sum()


@dataclass(frozen=True)
class _Moments:
    """Sums over the rows of each block: memory x memory, memory x next row, next row squared."""

    memory: FloatArray  # (blocks, F, F)
    cross: FloatArray  # (blocks, F, M)
    square: FloatArray  # (blocks, M)


def _pieces(cell: Cell, rows: Rows) -> Iterator[tuple[slice, FloatArray]]:
    """Yield the memory after each row, piece by piece, so that long training data fit."""
    for first, end in rows.spans():
        state = np.zeros(state_size(cell))
        for start in range(first, end, PIECE):
            part = slice(start, min(start + PIECE, end))
            out = np.empty((part.stop - part.start, len(cell.forecast)))
            memories(cell, state, rows.values[part], rows.elapsed[part], out)
            yield part, out


def _moments(cell: Cell, rows: Rows, block: NDArray[np.int64], blocks: int) -> _Moments:
    size, tags = cell.forecast.shape
    sums = _Moments(
        np.zeros((blocks, size, size)), np.zeros((blocks, size, tags)), np.zeros((blocks, tags))
    )
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
            sums.square[k] += (target[both] ** 2).sum(axis=0)
    return sums


def _readouts(cell: Cell, moments: _Moments, left_out: int | None, options: Options) -> Cell:
    """Return `cell` with both readouts fitted on all blocks but `left_out`."""
    blocks = range(len(moments.memory))
    used = [k for k in blocks if k != left_out]
    tags = len(cell.center)
    slow = np.maximum(options.slow_penalty * np.array(options.averages), 1.0)
    penalty = options.penalty * np.r_[np.ones(cell.lags * tags), np.repeat(slow, tags), 1e-7]
    memory, cross = moments.memory[used].sum(axis=0), moments.cross[used].sum(axis=0)
    return cell._replace(
        forecast=linalg.solve(memory + np.diag(penalty), cross, assume_a="pos"),
        peers=_peers(memory, cell, penalty),
    )


def _peers(memory: FloatArray, cell: Cell, penalty: FloatArray) -> FloatArray:
    """Return each tag's ridge estimate from the other tags' readings and averages.

    With Q the inverse of the regularised moments and s a tag's own columns, the coefficients of
    the others are ``-Q[others, s] @ inv(Q[s, s])``: one inverse serves all tags.
    """
    tags = len(cell.center)
    use = np.r_[0:tags, cell.lags * tags : len(memory)]
    system = memory[np.ix_(use, use)] + np.diag(penalty[use])
    inverse = linalg.inv(system)
    coefficients = np.zeros((len(use), tags))
    for i in range(tags):
        own = np.arange(i, len(use) - 1, tags)
        solved = -np.linalg.solve(inverse[np.ix_(own, own)].T, inverse[:, own].T)[0]
        solved[own] = 0.0
        coefficients[:, i] = solved
    return coefficients


def _held_back(
    cells: list[Cell], rows: Rows, block: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Return the two residuals of every row from the cell that has not seen its block."""
    ahead, peer = np.empty_like(rows.values), np.empty_like(rows.values)
    own, other = np.empty_like(ahead), np.empty_like(peer)
    for k, cell in enumerate(cells):
        for first, end in rows.spans():
            here = np.flatnonzero(block[first:end] == k) + first
            if len(here) == 0:
                continue
            upto = slice(first, here[-1] + 1)
            state = np.zeros(state_size(cell))
            residuals(cell, state, rows.values[upto], rows.elapsed[upto], own[upto], other[upto])
            ahead[here], peer[here] = own[here], other[here]
    return ahead, peer


def _spreads(
    cell: Cell,
    ahead: FloatArray,
    peer: FloatArray,
    rows: Rows,
    use: BoolArray,
    options: Options,
) -> Cell:
    """Return `cell` with the covariances of its residuals, from the rows in `use`."""
    covariance = _covariance(ahead[use], options)
    scored = np.flatnonzero(cell.scored)
    precision = np.zeros_like(covariance)
    precision[np.ix_(scored, scored)] = linalg.inv(covariance[np.ix_(scored, scored)])
    mean, var = _averaged(cell, peer, rows, use)
    return cell._replace(
        precision=precision, spread=np.diag(covariance).copy(), peer_mean=mean, peer_var=var
    )


def _covariance(residual: FloatArray, options: Options) -> FloatArray:
    """Return the second moments about zero over present pairs, shrunk to their diagonal."""
    present = np.isfinite(residual)
    filled = np.where(present, residual, 0.0)
    pairs = present.T.astype(float) @ present
    covariance = filled.T @ filled / np.maximum(pairs, 1.0)
    diagonal = np.diag(covariance)
    return covariance + np.diag(options.shrink * diagonal + options.floor)


def _averaged(
    cell: Cell, peer: FloatArray, rows: Rows, use: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of the peers' residual after each averaging."""
    shape = (len(cell.peer_gain), len(cell.center))
    mean, var = np.zeros(shape), np.ones(shape)
    filled = np.where(np.isfinite(peer), peer, 0.0)
    slow = cell.reference_gain
    for first, end in rows.spans():  # less the reference of the row before
        filled[first:end] = lfilter([1.0, -1.0], [1.0, slow - 1.0], filled[first:end], axis=0)
    for s, gain in enumerate(cell.peer_gain):
        smooth = np.empty_like(filled)
        for first, end in rows.spans():
            smooth[first:end] = lfilter([gain], [1.0, gain - 1.0], filled[first:end], axis=0)
        var[s] = (smooth[use] ** 2).mean(axis=0)
        white = (filled[use] ** 2).mean(axis=0) * gain / (2.0 - gain)
        var[s] = np.maximum(var[s], white) + 1e-4
    return mean, var


def _held_back_stats(cells: list[Cell], rows: Rows, block: NDArray[np.int64]) -> FloatArray:
    """Return the watched statistics of every row under the cell that has not seen its block."""
    count = statistics_of(cells[0])
    stats = np.full((len(rows.values), count), np.nan)
    own = np.empty_like(stats)
    scores = np.empty(len(rows.values))
    spare = np.empty((1, len(cells[0].center)))
    for k, cell in enumerate(cells):
        for first, end in rows.spans():
            here = np.flatnonzero(block[first:end] == k) + first
            if len(here) == 0:
                continue
            upto = slice(first, here[-1] + 1)
            state = np.zeros(state_size(cell))
            fold(
                cell, state, rows.values[upto], rows.elapsed[upto],
                scores[upto], spare, spare, own[upto],
            )  # fmt: skip
            stats[here] = own[here]
    return stats


def _calibrated(cell: Cell, stats: FloatArray) -> Cell:
    tables = [fit_table(column) for column in stats.T]
    cell = cell._replace(
        knots=np.stack([t.knots for t in tables]),
        levels=np.stack([t.levels for t in tables]),
        slope=np.array([t.slope for t in tables]),
    )
    last = fit_table(evidences(cell, stats))
    return cell._replace(
        knots=np.vstack([cell.knots, last.knots]),
        levels=np.vstack([cell.levels, last.levels]),
        slope=np.append(cell.slope, last.slope),
    )


def _held_back_scores(cell: Cell, stats: FloatArray) -> FloatArray:
    last = len(cell.slope) - 1
    table = Table(cell.knots[last], cell.levels[last], float(cell.slope[last]))
    return apply_table(table, evidences(cell, stats))
