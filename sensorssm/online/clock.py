"""Times of a stream: anything a caller has, as ns since 1970 in UTC, and the steps between."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import DataError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Time = datetime | np.datetime64 | int

NEVER = np.iinfo(np.int64).min  # numpy's NaT: no time has been told
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(time: Time) -> int:
    """Return a time as ns since 1970, UTC; a datetime without a zone is taken as UTC.

    Raises
    ------
    DataError : no time at all (NaT, text), or one outside 1678 to 2262, which int64 cannot hold.
    """
    stamp = _count(time)
    if stamp is None or not NEVER < stamp <= -(NEVER + 1):
        raise DataError(
            f"time is {time!r}, wanted a datetime, a numpy datetime64, or whole nanoseconds since "
            "1970 in UTC, between the years 1678 and 2262"
        )
    return stamp


def steps_between(before: int, stamp: int | None, period_s: float | None) -> float:
    """Return the steps from `before` to `stamp` in a model's own period.

    1 where a time was never told, and for a model that has no period.
    """
    if before == NEVER or stamp is None or period_s is None:
        return 1.0
    return (stamp - before) / 1e9 / period_s


def steps_since(before: IntArray, stamp: int | None, period_s: float | None) -> FloatArray:
    """Return `steps_between` each of `before` (A,) and `stamp`; most assets share one."""
    times, which = np.unique(before, return_inverse=True)
    return np.array([steps_between(time, stamp, period_s) for time in times.tolist()])[which]


def _count(time: object) -> int | None:
    if isinstance(time, datetime):
        if not isinstance(time.year, int):  # pandas' NaT is a datetime too, of the year NaN
            return None
        aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        since = aware - _EPOCH
        whole = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        return whole * 1000 + getattr(time, "nanosecond", 0)  # pandas keeps three digits more
    if isinstance(time, np.datetime64):
        return None if np.isnat(time) else _from_numpy(time)
    if isinstance(time, int | np.integer) and not isinstance(time, bool):
        return int(time)
    return None


def _from_numpy(time: np.datetime64) -> int | None:
    """Return the ns of a datetime64; numpy wraps around silently where they do not fit."""
    stamp = int(time.astype("datetime64[ns]").astype(np.int64))
    is_near = np.abs(time.astype("datetime64[Y]").astype(np.int64)) < 292
    return stamp if is_near else None
