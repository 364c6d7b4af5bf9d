"""Changepoints: the moment at which a process changed, and how soon an alarm told it.

SKAB's reading of the Numenta score: a window opens at each changepoint, and the first alarm in it
pays the more the earlier it comes.

References
----------
Katser and Kozitsin 2020, "Skoltech Anomaly Benchmark (SKAB)", Kaggle, and its reference code.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError
from sensorssm.evaluation.intervals import as_flags, as_moments, same_rows
from sensorssm.evaluation.nab import PROFILES, Costs

FloatArray = NDArray[np.float64]

_PLACES = 1000  # of a window, each with its pay


def turns_of(alarms: ArrayLike) -> NDArray[np.bool_]:
    """Return the rows at which 0/1 `alarms` (n,) begin or end: what was told of a change."""
    flags = as_flags(alarms, "alarms")
    return np.diff(np.r_[False, flags].astype(np.int8)) != 0


def changepoint_score(
    files: Iterable[tuple[ArrayLike, ArrayLike, ArrayLike]],
    profile: str = "standard",
    *,
    width: float = 60.0,
) -> float:
    """Return the score of a corpus: 0 where nothing is told, 100 where each change is told at once.

    Parameters
    ----------
    files : times (n,), seconds or datetime64; 0/1 changepoints (n,); 0/1 rows at which a change was
        told (n,), see `turns_of`
    profile : a key of `PROFILES`
    width : of the window after a changepoint, in seconds; it begins where the one before it ends

    Raises
    ------
    ConfigError : an unknown profile, a width that is not positive
    ShapeError, DataError : sizes that differ; flags other than 0 and 1; a time that is not known,
        two changepoints at one time; no changepoint in any file
    """
    if profile not in PROFILES:
        raise ConfigError.for_key(profile, PROFILES, "the NAB profiles")
    if not 0 < width < np.inf:
        raise ConfigError(f"width is {width!r}, wanted seconds above 0")
    cost, earned, count = PROFILES[profile], 0.0, 0
    for times, changes, told in files:
        windows, said = _moments(times, changes, told, width)
        earned += _earned(windows, said, cost)
        count += len(windows)
    if count == 0:
        raise DataError("no file has a changepoint, wanted one or more: there is nothing to tell")
    return float(100.0 * (earned + count * cost.missed) / (count * (cost.found + cost.missed)))


def _moments(
    times: ArrayLike, changes: ArrayLike, told: ArrayLike, width: float
) -> tuple[FloatArray, FloatArray]:
    """Return the windows (k, 2) and the moments at which a change was told, in seconds."""
    at, change, said = (
        as_moments(times, "times"),
        as_flags(changes, "changes"),
        as_flags(told, "told"),
    )
    same_rows(change, at, "times")
    same_rows(change, said, "told")
    begins = np.sort(at[change])
    if (np.diff(begins) <= 0).any():
        raise DataError("two changepoints stand at one time, wanted each at its own")
    ends = begins + width
    begins[1:] = np.maximum(begins[1:], ends[:-1])
    return np.column_stack([begins, ends]), at[said]


def _earned(windows: FloatArray, said: FloatArray, cost: Costs) -> float:
    """Return what one file earns: a pay or a penalty a window, and a penalty a false word."""
    inside = (said >= windows[:, :1]) & (said <= windows[:, 1:])  # (k, words)
    first = np.min(np.where(inside, said, np.inf), axis=1, initial=np.inf)
    is_found = np.isfinite(first)
    found = windows[is_found]
    share = (first[is_found] - found[:, 0]) / (found[:, 1] - found[:, 0])
    false = np.count_nonzero(~inside.any(axis=0))
    return (
        float(_pay(share, cost).sum())
        - cost.missed * np.count_nonzero(~is_found)
        - cost.false * false
    )


def _pay(share: FloatArray, cost: Costs) -> FloatArray:
    """Return the pay by the share of the window that has gone by: a falling S, found to -false."""
    place = np.minimum((share * _PLACES).astype(np.int64), _PLACES - 1)
    falling = -np.tanh(np.pi * (place / (_PLACES - 1) - 0.5)) / np.tanh(np.pi / 2)
    return (cost.found + cost.false) / 2 * falling + (cost.found - cost.false) / 2
