"""Which seasons a set of readings has, found from their autocorrelation and what they repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ConfigError
from sensorssm.estimators.repeats import find_repeat

FloatArray = NDArray[np.float64]

# A season must be seen this often, and its correlation must stand out by this much.
MIN_CYCLES = 3
MIN_CORRELATION = 0.15
MIN_PROMINENCE = 0.1


def resolve_seasons(season: Any, values: FloatArray) -> tuple[int, ...]:
    """Return the seasons in steps, shortest first; "auto" finds them in `values` (n, M).

    Raises
    ------
    ConfigError : `season` is not "auto", None, a whole number of at least 2, or a list of such.
    """
    if season is None:
        return ()
    if isinstance(season, str):
        if season != "auto":
            raise ConfigError(f'season={season!r}, wanted "auto", None, steps or a list of steps')
        return find_seasons(values)
    listed = list(season) if isinstance(season, Sequence | np.ndarray) else [season]
    for steps in listed:
        if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 2:
            raise ConfigError(f"season={season!r}: {steps!r} is not a whole number of steps >= 2")
    return tuple(sorted({int(steps) for steps in listed}))


def find_seasons(values: FloatArray) -> tuple[int, ...]:
    """Return the seasons found in `values` (n, M), NaN where missing: none, one or two.

    The first is the shortest period whose correlation is about as high as any; the second, seven
    of the first, is kept where it correlates clearly better than its neighbours do. A longer lag at
    which the readings surely repeat is a season too, on top of one of which it is a multiple.
    """
    seasons, repeat = _correlated_seasons(values), find_repeat(values)
    if repeat is None or (seasons and repeat <= seasons[-1]):
        return seasons
    if not seasons:
        return (repeat,)
    near = round(repeat / seasons[0]) * seasons[0]
    if abs(near - repeat) > min(seasons[0] / 4, repeat / 10):  # it is no season of those
        return (repeat,)
    return (seasons[0], near) if near > seasons[-1] else seasons


def _correlated_seasons(values: FloatArray) -> tuple[int, ...]:
    """Return the seasons that show in the autocorrelation, shortest first."""
    longest = len(values) // MIN_CYCLES
    if longest < 4:
        return ()
    correlation = _correlation(values, longest + longest // 2)
    first = _first_season(correlation, longest, len(values))
    if first is None:
        return ()
    if first % 7 == 0 and first > 14 and _stands_out(correlation, first // 7, len(values)):
        return (first // 7, first)
    week = 7 * first
    if week <= longest and _week_stands_out(correlation, first):
        return (first, week)
    return (first,)


def _correlation(values: FloatArray, lags: int) -> FloatArray:
    """Return the tags' mean autocorrelation at 0..lags, of clipped readings without slow drift."""
    rows = len(values)
    size = 1 << int(np.ceil(np.log2(2 * rows)))
    total, used = np.zeros(min(lags, rows - 1) + 1), 0
    for column in values.T:
        ready = _prepared(column)
        if ready is None:
            continue
        weight = np.isfinite(column).astype(float)
        own = np.fft.irfft(np.abs(np.fft.rfft(ready * weight, size)) ** 2)[: len(total)]
        pairs = np.fft.irfft(np.abs(np.fft.rfft(weight, size)) ** 2)[: len(total)]
        mean = own / np.maximum(pairs, 1.0)
        if mean[0] > 0 and np.all(pairs > 0.5):
            total += mean / mean[0]
            used += 1
    return total / max(used, 1)


def _prepared(column: FloatArray) -> FloatArray | None:
    """Return the column with drift and wild readings taken out, 0 where missing."""
    known = np.isfinite(column)
    if known.sum() < 8:
        return None
    rows = np.arange(len(column))
    middle = np.median(column[known])
    far = 8 * np.median(np.abs(column[known] - middle))
    tame = np.clip(column, middle - far, middle + far) if far > 0 else column
    drift = np.polynomial.Polynomial.fit(rows[known], tame[known], deg=3)(rows)
    rest = np.where(known, tame - drift, 0.0)
    spread = float(np.median(np.abs(rest[known])))
    spread = spread if spread > 0 else float(np.std(rest[known]))
    if not spread > 1e-12 * max(1.0, float(np.max(np.abs(column[known])))):
        return None
    rest = np.clip(rest, -6 * spread, 6 * spread)
    return rest - rest[known].mean() * known


def _first_season(correlation: FloatArray, longest: int, rows: int) -> int | None:
    lags = np.arange(2, min(longest, len(correlation) - 2) + 1)
    peaks = [int(p) for p in lags if _is_peak(correlation, int(p))]
    strong = [p for p in peaks if _stands_out(correlation, p, rows)]
    if not strong:
        return None
    best = max(correlation[p] for p in strong)
    return _refined(correlation, next(p for p in strong if correlation[p] >= 0.85 * best))


def _refined(correlation: FloatArray, lag: int) -> int:
    """Return the period near `lag` whose multiples correlate best: noise ripples on wide peaks."""
    near = np.arange(max(2, round(0.85 * lag)), round(1.15 * lag) + 1)
    near = near[near < len(correlation)]
    times = np.arange(1, max(2, min(5, len(correlation) // near[-1])))
    at = np.minimum(near[:, None] * times, len(correlation) - 1)
    return int(near[np.argmax(correlation[at].mean(axis=1))])


def _is_peak(correlation: FloatArray, lag: int) -> bool:
    return correlation[lag] >= correlation[lag - 1] and correlation[lag] > correlation[lag + 1]


def _stands_out(correlation: FloatArray, lag: int, rows: int) -> bool:
    """Say whether the peak rises from its valley, and rises again one period later.

    Noise with a long memory makes waves of its own, so a season seen few times must rise more.
    """
    valley = correlation[max(lag // 2, 1) : lag].min() if lag > 2 else correlation[1]
    rise = correlation[lag] - valley
    again = 2 * lag
    echo = correlation[again] - correlation[lag + lag // 2] if again < len(correlation) else rise
    return (
        correlation[lag] >= MIN_CORRELATION
        and rise >= MIN_PROMINENCE + 3 * lag / rows
        and echo >= 0.5 * (MIN_PROMINENCE + 3 * lag / rows)
    )


def _week_stands_out(correlation: FloatArray, day: int) -> bool:
    others = [correlation[k * day] for k in (2, 3, 4, 5)]
    return correlation[7 * day] > max(others) + 0.03
