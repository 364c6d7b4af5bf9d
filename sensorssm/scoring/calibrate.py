"""From a statistic to -log10 of its p-value, by what held-back rows of normal operation showed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

KNOTS = 32
TAIL = 0.05  # the share of rows that the tail begins with, where rows are few
EPISODES = 20  # separate episodes above a level before its frequency is believed
GAP = 30  # rows without an exceedance between two episodes


class Table(NamedTuple):
    """-log10 p at `knots`, straight between them, and `slope` beyond the last."""

    knots: FloatArray
    levels: FloatArray
    slope: float


def fit_table(
    values: FloatArray, *, tail: float = TAIL, quantiles: tuple[float, ...] = (0.5,)
) -> Table:
    """Return the table of a statistic from its values on held-back rows, in the order of time.

    The table is the empirical distribution as far as `EPISODES` separate episodes reach, and at
    least up to the `tail` share. Beyond, the excess is taken as exponential, a generalised Pareto
    tail of shape 0: in a statistic's logarithm it is a power law, which never claims more
    certainty than the rows can carry. Its rate is that of the median excess, so that one odd
    episode in the training rows does not hide all later ones; or the mean over other quantiles of
    the excess, where a tail that is longer than exponential must not pass for certainty.
    """
    present = values[np.isfinite(values)]
    if len(present) == 0:
        return Table(np.linspace(0.0, 1.0, KNOTS), np.zeros(KNOTS), 0.0)
    order = np.sort(present)
    tail = min(max(tail, 5.0 / len(order)), 0.5)
    for share in np.geomspace(tail, min(5.0 / len(order), tail), 12)[1:]:
        if count_episodes(present > np.quantile(order, 1.0 - share)) < EPISODES:
            break
        tail = share
    p = np.geomspace(1.0, tail, KNOTS)
    knots = np.quantile(order, 1.0 - p)
    # A statistic that repeats a value still needs knots that increase.
    width = max(knots[-1] - knots[0], 1e-6 * (1.0 + abs(knots[-1])))
    knots = np.maximum.accumulate(knots) + np.linspace(0.0, 1e-6, KNOTS) * width
    excess = order[order > knots[-1]] - knots[-1]
    scale = _scale_of(excess, quantiles) if len(excess) else width
    scale = max(scale, 1e-3 * width)
    return Table(knots, -np.log10(p), 1.0 / (scale * np.log(10.0)))


def _scale_of(excess: FloatArray, quantiles: tuple[float, ...]) -> float:
    """Return the scale of the exponential distribution with these quantiles, averaged."""
    reach = -np.log1p(-np.array(quantiles))
    return float(np.mean(np.quantile(excess, quantiles) / reach))


def count_episodes(above: NDArray[np.bool_], gap: int = GAP) -> int:
    """Return how many separate stretches of exceedances there are; `gap` rows part two."""
    rows = np.flatnonzero(above)
    return int((np.diff(rows) > gap).sum()) + 1 if len(rows) else 0


def apply_table(table: Table, values: FloatArray) -> FloatArray:
    """Return -log10 p of many values."""
    inside = np.interp(values, table.knots, table.levels)
    return inside + table.slope * np.maximum(values - table.knots[-1], 0.0)
