"""Which lag a set of readings repeats best: a season can be seen that has hardly come twice.

An autocorrelation asks for three periods, as slow readings make waves of their own. But where what
came one lag before is nearer than anything that came since, even the last reading, no wave explains
it: readings of a wandering tag are the farther apart the longer the lag. Under noise the last
reading is as near as any, so means of a few rows are asked as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# The rows that repeat must be this share of all, and be nearer by so many standard errors.
LEAST_REPEATED = 0.375
SURE = 3.0
# Means of so many rows are asked, the finest first, while there are so many means.
SCALES = (1, 2, 4, 8)
LEAST_MEANS = 16
# Readings further from the median than this many usual distances count as if they were as far.
FARTHEST = 8.0


def find_repeat(values: FloatArray) -> int | None:
    """Return the lag by which `values` (n, M), NaN where missing, surely repeat best, if any does."""
    values = values[:, np.isfinite(values).any(axis=0)]
    if not values.size:
        return None
    tame = _tamed(values)
    for scale in SCALES:
        if len(tame) < LEAST_MEANS * scale:
            break
        lag = _surely_nearest(_means(tame, scale))
        if lag is not None:
            return _refined(tame, lag * scale, scale)
    return None


def _surely_nearest(tame: FloatArray) -> int | None:
    """Return the lag at which readings are nearest, if it is surely nearer than all shorter ones."""
    apart = _mean_squares_apart(tame, int((1 - LEAST_REPEATED) * len(tame)))
    lag = 1 + int(np.argmin(apart))
    if lag < 3:
        return None
    nearest = 1 + int(np.argmin(apart[: lag - 1]))
    nearer = _squares_apart(tame, nearest)[lag - nearest :] - _squares_apart(tame, lag)
    by_row = nearer.sum(axis=1)
    return lag if by_row.mean() > SURE * by_row.std() / np.sqrt(len(by_row)) else None


def _refined(tame: FloatArray, lag: int, scale: int) -> int:
    """Return the lag of rows nearest to that of their means which repeats best."""
    near = np.arange(lag - scale + 1, min(lag + scale, len(tame)))
    return int(near[np.argmin(_mean_squares_apart(tame, near[-1])[near - 1])])


def _tamed(values: FloatArray) -> FloatArray:
    """Return deviations (n, M) from each tag's median in its spread, wild ones clipped."""
    middle = np.nanmedian(values, axis=0)
    far = FARTHEST * np.nanmedian(np.abs(values - middle), axis=0)
    far = np.where(far > 0, far, np.inf)
    tame = np.clip(values - middle, -far, far)
    spread = np.nanstd(tame, axis=0)
    return tame / np.where(spread > 0, spread, np.inf)


def _means(tame: FloatArray, scale: int) -> FloatArray:
    """Return the means (n // scale, M) of neighbouring rows up to the last, NaN where none is known."""
    if scale == 1:
        return tame
    rows = tame[len(tame) % scale :].reshape(-1, scale, tame.shape[1])
    known = np.isfinite(rows).sum(axis=1)
    return np.where(known > 0, np.nansum(rows, axis=1) / np.maximum(known, 1), np.nan)


def _squares_apart(tame: FloatArray, lag: int) -> FloatArray:
    """Return the squared distances (n - lag, M) of readings a lag apart, 0 where one is missing."""
    return np.nan_to_num((tame[lag:] - tame[:-lag]) ** 2)


def _mean_squares_apart(tame: FloatArray, longest: int) -> FloatArray:
    """Return the mean of those over all rows and tags, for the lags 1..longest."""
    size = 1 << int(np.ceil(np.log2(2 * len(tame))))
    total, count = np.zeros(longest), np.zeros(longest)
    for column in tame.T:  # one at a time: long records have long transforms
        x = np.nan_to_num(column)
        known = np.isfinite(column).astype(float)
        pairs, square, value = (np.fft.rfft(part, size) for part in (known, x * x, x))
        apart = square * pairs.conj() + pairs * square.conj() - 2 * np.abs(value) ** 2
        total += np.fft.irfft(apart)[1 : longest + 1]
        count += np.fft.irfft(np.abs(pairs) ** 2)[1 : longest + 1]
    return np.where(count > 0.5, total / np.maximum(count, 1.0), np.inf)
