"""The Numenta anomaly benchmark's score: early alarms pay, false and missing ones cost.

The threshold is the one best for the whole corpus, as NAB does; so the value says what the scores
could do, and not what a plant would have seen.

References
----------
Lavin and Ahmad 2015, "Evaluating Real-time Anomaly Detection Algorithms", arXiv:1510.03336.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError, ShapeError
from sensorssm.evaluation.intervals import as_scores

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PROBATION = 0.15  # the leading share of a file that is not judged ...
PROBATION_ROWS = 5000  # ... of at most this many rows


class Costs(NamedTuple):
    """What a found window pays at best, and what a false alarm and a missed window cost."""

    found: float
    false: float
    missed: float


PROFILES = {
    "standard": Costs(1.0, 0.11, 1.0),
    "low_false_positives": Costs(1.0, 0.22, 1.0),
    "low_false_negatives": Costs(1.0, 0.11, 2.0),
}


class _Row(NamedTuple):
    """Rows of all files, by falling score: score, worth, and the window they lie in or -1."""

    score: FloatArray
    worth: FloatArray
    window: IntArray


def nab_score(
    files: Iterable[tuple[ArrayLike, Sequence[tuple[int, int]]]], profile: str = "standard"
) -> float:
    """Return the score of a corpus: 0 is no alarm at all, 100 each window found at once.

    Parameters
    ----------
    files : scores (n,), larger = more anomalous, and the windows as first and last row, inclusive
    profile : a key of `PROFILES`

    Raises
    ------
    ConfigError : an unknown profile
    ShapeError, DataError : windows that overlap or leave their file, no window in any file; scores
        that are not finite
    """
    if profile not in PROFILES:
        raise ConfigError.for_key(profile, PROFILES, "the NAB profiles")
    cost = PROFILES[profile]
    rows, windows = _gather(files)
    gain = np.where(rows.window < 0, rows.worth * cost.false, 0.0)
    for w in range(windows):
        inside = np.flatnonzero(rows.window == w)
        # A window pays once: by its best row so far, on top of the penalty it had until then.
        best = np.maximum.accumulate(np.r_[-cost.missed, rows.worth[inside] * cost.found])
        gain[inside] = np.diff(best)
    last_of_ties = np.r_[np.flatnonzero(np.diff(rows.score)), len(rows.score) - 1]
    best_total = max(float(np.cumsum(gain)[last_of_ties].max()), 0.0)
    return 100.0 * best_total / (windows * (cost.found + cost.missed))


def _gather(
    files: Iterable[tuple[ArrayLike, Sequence[tuple[int, int]]]],
) -> tuple[_Row, int]:
    parts, count = [], 0
    for number, (scores, given) in enumerate(files):
        score = as_scores(scores)
        windows = _sorted(given, len(score), number)
        worth, window = _worth(len(score), windows, count)
        count += len(windows)
        judged = np.arange(len(score)) >= min(
            np.floor(PROBATION * len(score)), PROBATION * PROBATION_ROWS
        )
        parts.append((score[judged], worth[judged], window[judged]))
    if count == 0:
        raise DataError("no file has a window, wanted one or more: there is nothing to find")
    score, worth, window = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(-score, kind="stable")
    return _Row(score[order], worth[order], window[order]), count


def _sorted(windows: Sequence[tuple[int, int]], rows: int, number: int) -> list[tuple[int, int]]:
    """Return the windows of file `number` in the order of time, checked."""
    order = sorted((int(first), int(last)) for first, last in windows)
    edges = np.array([(-1, -1), *order, (rows, rows)])
    if (edges[1:-1, 0] > edges[1:-1, 1]).any() or (edges[1:, 0] <= edges[:-1, 1]).any():
        raise ShapeError(
            f"file {number} has windows {order} in {rows} rows, wanted first and last rows of it, "
            "inclusive, that do not overlap"
        )
    return order


def _worth(
    rows: int, windows: Sequence[tuple[int, int]], offset: int
) -> tuple[FloatArray, IntArray]:
    """Return what an alarm in each row is worth (1 early in a window ... -1 far after one)."""
    worth, member = np.full(rows, -1.0), np.full(rows, -1, dtype=np.int64)
    starts = [int(first) for first, _ in windows] + [rows]
    for number, (first, last) in enumerate(windows):
        width = last - first + 1.0
        after = np.arange(last + 1, starts[number + 1])
        past = (after - last) / max(width - 1.0, 1e-12)
        worth[after] = np.where(past > 3.0, -1.0, _sigmoid(past))
        inside = np.arange(first, last + 1)
        worth[inside] = _sigmoid((inside - last - 1.0) / width) / _sigmoid(np.array(-1.0))
        member[inside] = offset + number
    return worth, member


def _sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return -np.tanh(2.5 * x)  # 2 / (1 + exp(5 x)) - 1, which overflows
