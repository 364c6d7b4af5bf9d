"""Scores calibrated apart in each operating mode that a tag tells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.scoring.calibrate import Table, apply_table, fit_table
from sensorssm.scoring.scaling import is_status

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

ENOUGH = 500.0  # rows at which a mode's own table counts as much as the common one
APART = 1.5  # ratio of the mean scores of two modes from which a tag is taken to tell the mode


class Modes(NamedTuple):
    """What a score means in each mode.

    Attributes
    ----------
    tag : number of the tag that tells the mode
    values : (K,) its values, rising
    trust : (K,) how much of a mode's own table is believed, 0 to 1; fewer rows, less
    knots, levels, slope : (K, J), (K, J), (K,) the tables, from score to -log10 p in the mode
    """

    tag: int
    values: FloatArray
    trust: FloatArray
    knots: FloatArray
    levels: FloatArray
    slope: FloatArray


def find_mode_tag(rows: FloatArray, scores: FloatArray) -> int | None:
    """Return the status tag under which scores differ most, alike in both halves of the rows.

    A difference that does not repeat is an episode of its own and no mode. None where no tag
    sets the mean scores of two modes apart by `APART`.
    """
    middle = len(scores) // 2
    best, found = APART, None
    for tag, column in enumerate(rows.T):
        seen = column[np.isfinite(column)]
        values = np.unique(seen)
        if len(values) < 2 or not is_status(seen):
            continue
        halves = [
            _mean_scores(column[half], scores[half], values)
            for half in (slice(None, middle), slice(middle, None))
        ]
        ratio = _repeated_ratio(*halves)
        if ratio > best:
            best, found = ratio, tag
    return found


def _mean_scores(column: FloatArray, scores: FloatArray, values: FloatArray) -> FloatArray:
    """Return the mean known score at each value (K,), NaN where it is seen too seldom to say."""
    means = np.full(len(values), np.nan)
    for k, value in enumerate(values):
        known = scores[(column == value) & np.isfinite(scores)]
        if len(known) >= ENOUGH / 5:
            means[k] = known.mean()
    return means


def _repeated_ratio(first: FloatArray, second: FloatArray) -> float:
    """Return the largest ratio of two modes' mean scores that both halves show."""
    ratios = [means[:, None] / np.maximum(means[None, :], 1e-6) for means in (first, second)]
    return float(np.nan_to_num(np.minimum(*ratios), nan=0.0).max())


def fit_modes(rows: FloatArray, scores: FloatArray, tag: int) -> Modes:
    """Return the modes of `tag` in `rows` (n, M), from held-back `scores` (n,), NaN = left out."""
    values = np.unique(rows[np.isfinite(rows[:, tag]), tag])
    inside = [scores[(rows[:, tag] == value) & np.isfinite(scores)] for value in values]
    tables = [fit_table(found) for found in inside]
    counts = np.array([len(found) for found in inside], dtype=np.float64)
    return Modes(
        tag=tag,
        values=values,
        trust=counts / (counts + ENOUGH),
        knots=np.stack([table.knots for table in tables]),
        levels=np.stack([table.levels for table in tables]),
        slope=np.array([table.slope for table in tables]),
    )


def rescore(modes: Modes, scores: FloatArray, rows: FloatArray) -> FloatArray:
    """Return `scores` (n,) as they count in the mode of each row of `rows` (n, M).

    A mode's table and the common score are mixed in logarithms by how far the mode is known. A
    row whose mode is missing or was never seen keeps the common score.
    """
    result = scores.copy()
    for k, value in enumerate(modes.values):
        here = rows[:, modes.tag] == value
        own = apply_table(
            Table(modes.knots[k], modes.levels[k], float(modes.slope[k])), scores[here]
        )
        result[here] = scores[here] + modes.trust[k] * (own - scores[here])
    return result
