"""The detector's fit: each coefficient is judged on rows that it was not fitted on.

Blocks of time are left out in turn. What their rows look like under coefficients that have not
seen them gives the residuals' covariance, and then the tables that turn statistics into p-values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sensorssm.scoring.advance import fold
from sensorssm.scoring.calibrate import KNOTS, Table, apply_table, fit_table
from sensorssm.scoring.cell import Cell, state_size, statistics_of
from sensorssm.scoring.evidence import evidences
from sensorssm.scoring.memory import residuals
from sensorssm.scoring.precedents import first_precedents, weights_of
from sensorssm.scoring.readouts import Rows, fit_readouts, gather_moments
from sensorssm.scoring.scaling import fit_scaling
from sensorssm.scoring.watch import shifts

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Options:
    """What the cell looks at, in steps; the defaults are for all plants.

    Attributes
    ----------
    lags, averages : rows remembered as they were; time constants of the averages
    energy : time constants at which the squared residual is watched, beside the last row's
    shift, recent : time constants of the two means of the signed residual
    reference : time constant of what the residual is compared with
    chance : how often normal operation sets the two means apart; how often the long mean is away
    penalty : ridge of the readouts, in squared scaled readings, over the root of the rows
    shrink, floor : of the residual's covariance to its diagonal, and of that to 0
    blocks : stretches of time that are held back in turn
    """

    lags: int = 5
    averages: tuple[float, ...] = (8.0,)
    energy: tuple[float, ...] = (3.0, 10.0)
    shift: float = 40.0
    recent: float = 8.0
    reference: float = 300.0
    chance: tuple[float, float] = (1e-3, 0.1)
    penalty: float = 0.2
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
    ahead = _held_back_residuals(parts, rows, block)
    whole = _with_precision(whole, ahead[rows.keep], options)
    whole, means = _with_limits(whole, ahead, rows, options)
    stats = _held_back_stats(
        [
            _judge(cell, whole, ahead, means, rows.keep & (block != k), options)
            for k, cell in enumerate(parts)
        ],
        rows,
        block,
    )
    final = _judge(whole, whole, ahead, means, rows.keep, options)
    cell = _with_tables(final, stats[rows.keep])
    return cell, _held_back_scores(cell, stats)


def _blank_cell(rows: Rows, options: Options) -> Cell:
    scaling = fit_scaling(rows.values[rows.keep])
    tags, slow = len(scaling.center), len(options.averages)
    scored = ~(scaling.fixed | scaling.informs)
    if not scored.any():
        scored = ~scaling.fixed  # nothing but switches: then they score
    count = 3 + len(options.energy)
    weights = weights_of(len(options.energy)) if tags == 1 else np.empty(0)
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
        energy_gain=1.0 / np.array(options.energy),
        shift_gain=1.0 / options.shift,
        recent_gain=1.0 / options.recent,
        reference_gain=1.0 / options.reference,
        shift_limit=np.inf,
        quiet=np.inf,
        patience=np.inf,
        shift_precision=np.zeros((tags, tags)),
        signature=np.zeros((tags, tags)),
        knots=np.tile(np.linspace(0.0, 1.0, KNOTS), (count, 1)),
        levels=np.zeros((count, KNOTS)),
        slope=np.zeros(count),
        weights=weights,
        precedents=first_precedents(np.empty((0, len(weights)))),
        rows=0.0,
    )


def _held_back_residuals(cells: list[Cell], rows: Rows, block: IntArray) -> FloatArray:
    """Return the residual of every row from the cell that has not seen its block."""
    ahead, own = np.empty_like(rows.values), np.empty_like(rows.values)
    for k, cell in enumerate(cells):
        for first, end in rows.spans():
            here = np.flatnonzero(block[first:end] == k) + first
            if len(here) == 0:
                continue
            upto = slice(first, here[-1] + 1)
            state = np.zeros(state_size(cell))
            residuals(cell, state, rows.values[upto], rows.elapsed[upto], own[upto])
            ahead[here] = own[here]
    return ahead


def _judge(
    cell: Cell,
    limits: Cell,
    ahead: FloatArray,
    means: FloatArray,
    use: BoolArray,
    options: Options,
) -> Cell:
    """Return `cell` with the limits of another and the covariances of the rows in `use`."""
    cell = _with_precision(cell, ahead[use], options)
    cell = cell._replace(
        shift_limit=limits.shift_limit, quiet=limits.quiet, patience=limits.patience
    )
    spare = cell.shift_gain / (2.0 - cell.shift_gain)  # variance of a mean of white noise
    inverse = _precision(_covariance(means[use], options, spare), cell.scored)
    return cell._replace(shift_precision=inverse, signature=_signature(cell, inverse))


def _signature(cell: Cell, inverse: FloatArray) -> FloatArray:
    """Return (M, M) with which to ask, for each tag, whether its lasting offset explains a mean.

    A reading that is off by one moves its own residual, and through the memory those of all tags
    that are forecast from it. The square of ``mean @ signature[:, i]`` is what the mean's norm
    loses by the best such offset of tag i: a generalised likelihood ratio.
    """
    tags = len(cell.center)
    offset = np.eye(tags) - cell.forecast[:-1].reshape(-1, tags, tags).sum(axis=0)
    raised = inverse @ offset.T
    power = np.maximum((offset * raised.T).sum(axis=1), 1e-12)
    return np.ascontiguousarray(raised * cell.scored / np.sqrt(power))


def _with_precision(cell: Cell, residual: FloatArray, options: Options) -> Cell:
    """Return `cell` with the covariance of its residual."""
    covariance = _covariance(residual, options)
    # The floor is for the inverse: with it, a closely kept tag that strays would hardly be blamed.
    spread = np.maximum(np.diag(covariance) - options.floor, 1e-3 * options.floor)
    return cell._replace(precision=_precision(covariance, cell.scored), spread=spread)


def _precision(covariance: FloatArray, scored: FloatArray) -> FloatArray:
    """Return the inverse among the tags that score, with zeros elsewhere."""
    use, inverse = np.flatnonzero(scored), np.zeros_like(covariance)
    inverse[np.ix_(use, use)] = linalg.inv(covariance[np.ix_(use, use)])
    return inverse


def _covariance(residual: FloatArray, options: Options, part: float = 1.0) -> FloatArray:
    """Return the second moments about zero, shrunk to their diagonal; NaN = missing.

    A product that misses a factor counts as 0: the matrix stays positive, and correlations of
    tags that are seldom there together are taken as weaker than they were. `part` of the floor is
    added.
    """
    present = np.isfinite(residual)
    root = np.sqrt(np.maximum(present.sum(axis=0), 1.0))
    filled = np.where(present, residual, 0.0) / root
    covariance = filled.T @ filled
    return covariance + np.diag(options.shrink * np.diag(covariance) + part * options.floor)


def _with_limits(
    cell: Cell, ahead: FloatArray, rows: Rows, options: Options
) -> tuple[Cell, FloatArray]:
    """Return `cell` with the limits of its shift, and the long mean after each row (n, M).

    Patience lasts as long as any shift of the training rows did, and no less than the reference
    takes to move.
    """
    _, norms = _follow(cell, ahead, rows)
    apart, away = norms[rows.keep].T
    cell = cell._replace(
        shift_limit=float(np.quantile(apart, 1.0 - options.chance[0])),
        quiet=float(np.quantile(away, 1.0 - options.chance[1])),
    )
    _, norms = _follow(cell, ahead, rows)
    stood = _longest((norms[:, 0] <= cell.shift_limit) & (norms[:, 1] > cell.quiet))
    cell = cell._replace(patience=max(options.reference, float(stood)))
    return cell, _follow(cell, ahead, rows)[0]


def _longest(run: BoolArray) -> int:
    """Return the length of the longest stretch of true rows."""
    ends = np.flatnonzero(np.diff(np.r_[False, run, False].astype(np.int8)))
    return int((ends[1::2] - ends[::2]).max(initial=0))


def _follow(cell: Cell, ahead: FloatArray, rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Return the long mean of the residual after each row (n, M), and its two norms (n, 2)."""
    residual = np.where(np.isfinite(ahead), ahead, 0.0) * cell.scored
    means, norms = np.empty_like(residual), np.empty((len(residual), 2))
    for first, end in rows.spans():
        shifts(cell, residual[first:end], means[first:end], norms[first:end])
    return means, norms


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
    last = fit_table(evidences(cell, stats), quantiles=(0.5, 0.8))
    if len(cell.weights):
        each = np.column_stack([apply_table(*both) for both in zip(tables, stats.T, strict=True)])
        known = float(np.isfinite(each[:, 0]).sum())
        cell = cell._replace(precedents=first_precedents(each), rows=known)
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
