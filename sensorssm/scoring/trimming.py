"""A fit that leaves out what looks like faults among its training rows.

Training rows are said to be of normal operation, and seldom all are. A fault of a day teaches the
coefficients to expect it, and fills the tail of every table, so that its like is never found.
Such a fault gives itself away: it is a stretch of unusual rows far longer or stronger than the
others. What comes back often is lawful, and stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.calibrate import EPISODES, GAP
from sensorssm.scoring.cell import Cell
from sensorssm.scoring.fit import Options, fit_cell
from sensorssm.scoring.readouts import Rows

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

UNUSUAL = 1.0  # the score that a stretch lies above: the least likely tenth of the rows
# A stretch b beyond what is usual is expected in exp(-b) of training sets. Clean records must come
# through whole: the first one found is one in 440,000. A record that held it is not what it was
# said to be, and the largest faults hide the smaller ones: from then on, one in 20 will do.
BEYOND = (13.0, 3.0, 3.0)
MOST = 0.2  # share of the rows that may be left out; more are no exception


def fit_trimmed(rows: Rows, options: Options) -> tuple[Cell, FloatArray, BoolArray]:
    """Return the fitted cell, the held-back scores (n,), and which rows look like faults (n,).

    Rows that are not learnt from, by the caller's word or by this rule, are taken as never read.
    The rows around them are not learnt from either: faults begin before they show, and what comes
    after still remembers them.
    """
    faulty = np.zeros(len(rows.values), dtype=bool)
    rows = _without(rows, ~rows.keep)
    cell, scores = fit_cell(rows, options)
    for beyond in BEYOND:
        odd = unlike_the_rest(np.where(rows.keep, scores, np.nan), rows.starts, beyond)
        if not odd.any() or (faulty | odd).mean() > MOST:
            break
        faulty |= odd
        rows = _without(rows, odd)
        cell, scores = fit_cell(rows, options)
    return cell, scores, faulty


def unlike_the_rest(scores: FloatArray, starts: IntArray, beyond: float = BEYOND[0]) -> BoolArray:
    """Return the rows (n,) of stretches above `UNUSUAL` that dwarf the others.

    A stretch weighs the sum of its scores. Weights of normal operation are about exponential, at
    a rate that the median tells whatever the largest are, or the 80 % quantile where long
    stretches are too many to be faults; with fewer than `EPISODES` stretches there is nothing to
    compare with, and none is unlike the rest.
    """
    stretches = _stretches(scores > UNUSUAL, starts)
    found = np.zeros(len(scores), dtype=bool)
    if len(stretches) < EPISODES:
        return found
    weight = np.array([np.nansum(scores[start:end]) for start, end in stretches])
    rate = 1.0 / max(np.quantile(weight, q) / -np.log1p(-q) for q in (0.5, 0.8))
    for start, end in stretches[weight * rate > np.log(len(weight)) + beyond]:
        found[start:end] = True
    return found


def _stretches(unusual: BoolArray, starts: IntArray) -> IntArray:
    """Return [start, end) of runs of unusual rows (k, 2); `GAP` rows or an asset's end part two."""
    at = np.flatnonzero(unusual)
    if len(at) == 0:
        return np.empty((0, 2), dtype=np.int64)
    asset = np.searchsorted(starts, at, side="right")
    apart = (np.diff(at) > GAP) | (np.diff(asset) > 0)
    return np.column_stack([at[np.r_[True, apart]], at[np.r_[apart, True]] + 1])


def _without(rows: Rows, odd: BoolArray) -> Rows:
    """Return `rows` with the odd ones missing, and neither they nor `GAP` around learnt from."""
    edges, near = np.r_[rows.starts, len(odd)], odd.copy()
    for start, end in _stretches(odd, rows.starts):
        asset = np.searchsorted(edges, start, side="right")
        near[max(start - GAP, edges[asset - 1]) : min(end + GAP, edges[asset])] = True
    keep = rows.keep & ~near
    if keep.sum() < 2:  # too little is left to be choosy
        keep = rows.keep & ~odd
    return replace(rows, values=np.where(odd[:, None], np.nan, rows.values), keep=keep)
