"""Is one forecaster better than another, or was it luck? The test of Diebold and Mariano."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from sensorssm.errors import DataError, ShapeError

FloatArray = NDArray[np.float64]


class DieboldMariano(NamedTuple):
    """The outcome of a comparison.

    Attributes
    ----------
    statistic : the mean difference in its standard errors; negative where the first is better
    p_value : two-sided, of a Student distribution; small where the difference is hardly luck
    difference : mean loss of the first minus that of the second
    """

    statistic: float
    p_value: float
    difference: float


def diebold_mariano(first: ArrayLike, second: ArrayLike, *, overlap: int = 1) -> DieboldMariano:
    """Compare two forecasters by their losses (n,) from the same origins, in the order of time.

    Forecasts from neighbouring origins share targets, so their losses move together. The variance
    of the mean counts that in up to `overlap - 1` origins apart: with one origin a step, `overlap`
    is the horizon. Where that estimate is not positive, Bartlett's weights make it so. The
    statistic is corrected for few origins. A NaN loss takes its origin out of both.

    Raises
    ------
    ShapeError : losses that are not two equal rows of numbers
    DataError : fewer than two known origins, or an infinite loss

    References
    ----------
    Diebold and Mariano 1995, Journal of Business and Economic Statistics 13, 253-263;
    Harvey, Leybourne and Newbold 1997, International Journal of Forecasting 13, 281-291, eq. (9).
    """
    one, two = (np.asarray(losses, dtype=np.float64) for losses in (first, second))
    if one.ndim != 1 or one.shape != two.shape:
        raise ShapeError(f"losses have shapes {one.shape} and {two.shape}, wanted equal rows (n,)")
    if np.isinf(one).any() or np.isinf(two).any():
        raise DataError("a loss is infinite, wanted numbers, or NaN where an origin is not known")
    gap = (one - two)[~np.isnan(one - two)]
    if len(gap) < 2:
        raise DataError(f"{len(gap)} origins are known of both, wanted at least 2")
    mean, count = float(gap.mean()), len(gap)
    steps = min(max(int(overlap), 1), count)
    variance = _variance_of_mean(gap - mean, steps)
    if variance == 0.0:
        return DieboldMariano(math.copysign(math.inf, mean) if mean else 0.0, float(not mean), mean)
    few = (count + 1 - 2 * steps + steps * (steps - 1) / count) / count
    statistic = mean / math.sqrt(variance) * math.sqrt(max(few, 1.0 / count))
    p_value = 2.0 * float(student.sf(abs(statistic), df=count - 1))
    return DieboldMariano(statistic, p_value, mean)


def _variance_of_mean(gap: FloatArray, steps: int) -> float:
    """Return the variance of the mean of n centred numbers that are correlated up to `steps` - 1."""
    covariance = np.array([gap[lag:] @ gap[: len(gap) - lag] for lag in range(steps)]) / len(gap)
    total = covariance[0] + 2.0 * covariance[1:].sum()
    if total <= 0.0:
        weights = 1.0 - np.arange(steps) / steps
        total = covariance[0] + 2.0 * (weights * covariance)[1:].sum()
    return float(max(total, 0.0)) / len(gap)
