"""From a statistic to -log10 of its p-value, by what held-back rows of normal operation showed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

KNOTS = 24


class Table(NamedTuple):
    """-log10 p at `knots`, straight between them, and `slope` beyond the last."""

    knots: FloatArray
    levels: FloatArray
    slope: float


def fit_table(values: FloatArray, *, tail: float = 0.05) -> Table:
    """Return the table of a statistic from its values on held-back rows.

    Up to the `tail` share the table is the empirical distribution. Beyond it the excess is taken
    as exponential, a generalised Pareto tail of bounded shape (0): in a statistic's logarithm it
    is a power law, which never claims more certainty than the rows can carry. Rows that follow
    each other exceed together, so the tail's rate is widened by the error of as many clusters as
    there were.
    """
    order = np.sort(values[np.isfinite(values)])
    if len(order) == 0:
        return Table(np.linspace(0.0, 1.0, KNOTS), np.zeros(KNOTS), 0.0)
    tail = min(max(tail, 5.0 / len(order)), 0.5)
    p = np.geomspace(1.0, tail, KNOTS)
    knots = np.quantile(order, 1.0 - p)
    # A statistic that repeats a value still needs knots that increase.
    width = max(knots[-1] - knots[0], 1e-6 * (1.0 + abs(knots[-1])))
    knots = np.maximum.accumulate(knots) + np.linspace(0.0, 1e-6, KNOTS) * width
    excess = order[order > knots[-1]] - knots[-1]
    mean = excess.mean() if len(excess) else width
    clusters = max(_clusters(values > knots[-1]), 1)
    mean = max(mean * (1.0 + 1.0 / np.sqrt(clusters)), 1e-3 * width)
    return Table(knots, -np.log10(p), 1.0 / (mean * np.log(10.0)))


def _clusters(above: NDArray[np.bool_], gap: int = 5) -> int:
    """Return how many runs of exceedances there are, counting near ones once."""
    rows = np.flatnonzero(above)
    return int((np.diff(rows) > gap).sum()) + 1 if len(rows) else 0


def apply_table(table: Table, values: FloatArray) -> FloatArray:
    """Return -log10 p of many values."""
    inside = np.interp(values, table.knots, table.levels)
    return inside + table.slope * np.maximum(values - table.knots[-1], 0.0)
