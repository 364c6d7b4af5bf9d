"""The detector's fit: each coefficient is judged on rows that it was not fitted on.

Blocks of time are left out in turn. What their rows look like under coefficients that have not
seen them gives the residuals' covariance, and then the tables that turn statistics into p-values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.signal import lfilter

from sensorssm.scoring.advance import evidences, fold, residuals
from sensorssm.scoring.calibrate import KNOTS, Table, apply_table, fit_table
from sensorssm.scoring.cell import Cell, state_size, statistics_of
from sensorssm.scoring.readouts import Rows, fit_readouts, gather_moments
from sensorssm.scoring.scaling import fit_scaling

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Options:
    """What the cell looks at, in steps; the defaults are for all plants.

    Attributes
    ----------
    lags, averages : rows remembered as they were; time constants of the averages
    energy, shift, peer : time constants at which the residuals are watched
    reference : time constant of what the peers' residual is compared with
    penalty : ridge of the readouts, in squared scaled readings
    shrink, floor : of the residual's covariance to its diagonal, and of that to 0
    blocks : stretches of time that are held back in turn
    """

    lags: int = 5
    averages: tuple[float, ...] = (8.0,)
    energy: tuple[float, ...] = (3.0, 10.0, 20.0)
    shift: tuple[float, ...] = (6.0,)
    peer: tuple[float, ...] = (12.0,)
    reference: float = 300.0
    penalty: float = 5.0
    shrink: float = 0.05
    floor: float = 1e-3
    blocks: int = 5


def fit_cell(rows: Rows, options: Options) -> tuple[Cell, FloatArray]:
    """Return the fitted cell and the scores (n,) of the rows while they were held back."""
    blank = _blank_cell(rows, options)
    block = np.arange(len(rows.values)) * options.blocks // len(rows.values)
    moments = gather_moments(blank, rows, block, options.blocks)
    whole = fit_readouts(blank, moments, None, options.penalty)
    parts = [fit_readouts(blank, moments, k, options.penalty) for k in range(options.blocks)]
    ahead, peer = _held_back_residuals(parts, rows, block)
    cells = [
        _with_spreads(cell, ahead, peer, rows, rows.keep & (block != k), options)
        for k, cell in enumerate(parts)
    ]
    stats = _held_back_stats(cells, rows, block)
    final = _with_spreads(whole, ahead, peer, rows, rows.keep, options)
    cell = _with_tables(final, stats[rows.keep])
    return cell, _held_back_scores(cell, stats)


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
        knots=np.tile(np.linspace(0.0, 1.0, KNOTS), (count, 1)),
        levels=np.zeros((count, KNOTS)),
        slope=np.zeros(count),
    )


def _held_back_residuals(
    cells: list[Cell], rows: Rows, block: IntArray
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


def _with_spreads(
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
    """Return the second moments about zero, shrunk to their diagonal; NaN = missing.

    A product that misses a factor counts as 0: the matrix stays positive, and correlations of
    tags that are seldom there together are taken as weaker than they were.
    """
    present = np.isfinite(residual)
    root = np.sqrt(np.maximum(present.sum(axis=0), 1.0))
    filled = np.where(present, residual, 0.0) / root
    covariance = filled.T @ filled
    return covariance + np.diag(options.shrink * np.diag(covariance) + options.floor)


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


def _held_back_stats(cells: list[Cell], rows: Rows, block: IntArray) -> FloatArray:
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


def _with_tables(cell: Cell, stats: FloatArray) -> Cell:
    """Return `cell` with the tables of its statistics, and of their mean evidence."""
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
    """Return the scores of rows whose statistics were held back."""
    last = len(cell.slope) - 1
    table = Table(cell.knots[last], cell.levels[last], float(cell.slope[last]))
    return apply_table(table, evidences(cell, stats))
