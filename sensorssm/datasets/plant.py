"""A small plant with real physics, controllers, weather, production and labelled faults."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorssm.datasets.faults import Fault, check_fault, default_faults
from sensorssm.datasets.streams import Purpose, draw_stream
from sensorssm.datasets.tags import TAGS, Tag
from sensorssm.errors import ConfigError

FloatArray = NDArray[np.float64]

#: Share of the record that default faults leave alone.
_NORMAL_SHARE = 0.6
_LAST = np.datetime64("2262-01-01", "s")  # nanoseconds in 64 bits count no further
_MOST_ROWS = 10_000_000  # of an asset: 1.1 GB of 14 tags; 115 days of seconds


@dataclass(frozen=True)
class Plant:
    """Readings of a simulated plant on one regular grid, and what was wrong with it when.

    Attributes
    ----------
    time : (n,) datetime64[ns], UTC
    values : asset -> (n, M) float64 in the order of `tags` and in their units, none missing
    faults : sorted by start
    normal_until : the first instant at which a fault may be found; the end without faults
    period_s : seconds between rows
    """

    time: NDArray[np.datetime64]
    values: dict[str, FloatArray]
    tags: tuple[Tag, ...]
    faults: tuple[Fault, ...]
    normal_until: np.datetime64
    period_s: float

    @cached_property
    def assets(self) -> tuple[str, ...]:
        """Names of the assets, in order."""
        return tuple(self.values)

    def labels(self, asset: str) -> NDArray[np.bool_]:
        """Return where `asset` has a fault, shape (n,)."""
        if asset not in self.values:
            raise ConfigError.for_key(asset, self.assets, "the assets of this plant")
        faulty = np.zeros(len(self.time), dtype=np.bool_)
        for fault in self.faults:
            if fault.asset == asset:
                faulty |= (self.time >= fault.started) & (self.time < fault.ended)
        return faulty


def simulate_plant(
    *,
    assets: int = 2,
    days: float = 56,
    period: str = "5min",
    seed: int = 0,
    faults: Literal["default"] | Sequence[Fault] | None = "default",
    start: str = "2026-01-05",
) -> Plant:
    """Return the readings of `assets` pump skids under one sky.

    Everything is drawn from `seed`, and faults are drawn apart: the same seed with other faults
    is the same plant, equal to the last bit until the first fault starts.

    Parameters
    ----------
    assets : number of skids, named "skid-1", "skid-2", ...
    days : length of the record; with default faults the first 60 % are free of faults
    period : time between rows in whole seconds, such as "30s", "5min", "1h"
    faults : "default" for one fault of each of `FAULT_KINDS` dealt to the assets, None for a
        healthy plant, or your own
    start : instant of the first row, UTC

    Raises
    ------
    ConfigError : a setting is out of range, or a fault cannot happen in this plant.
    """
    from sensorssm.datasets.site import Site  # compiled code: loads numba

    period_s = _parse_period(period)
    names = _name_assets(assets)
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, found {seed}.")
    time = make_grid(start, days, period_s)
    rng = draw_stream(seed, Purpose.FAULTS)
    normal_until, planned = _plan_faults(faults, names, time, rng)
    site = Site(seed, time, float(period_s), planned)
    values = {name: site.run(number, name)[0] for number, name in enumerate(names)}
    return Plant(time, values, TAGS, planned, normal_until, float(period_s))


def _parse_period(period: str) -> int:
    match = re.fullmatch(r"(\d+)(s|min|h)", period)
    seconds = int(match[1]) * {"s": 1, "min": 60, "h": 3600}[match[2]] if match else 0
    if not 1 <= seconds <= 86400:
        raise ConfigError(
            f'period must be 1s to 24h, such as "30s", "5min", "1h"; found {period!r}.'
        )
    return seconds


def _name_assets(assets: int) -> tuple[str, ...]:
    if assets < 1:
        raise ConfigError(f"a plant needs at least one asset, found assets={assets}.")
    return tuple(f"skid-{number}" for number in range(1, assets + 1))


def make_grid(start: str, days: float, period_s: int) -> NDArray[np.datetime64]:
    """Return the instants of a plant, (n,) datetime64[ns].

    Raises
    ------
    ConfigError : a start that is no date of 1678 to 2261, fewer than two rows, or more than a
        machine holds.
    """
    first = _read_start(start)
    rows = int(days * 86400 // period_s) if math.isfinite(days) else 0
    if not 2 <= rows <= _MOST_ROWS:
        raise ConfigError(
            f"days={days} gives {rows:,} rows of {period_s} s; wanted 2 to {_MOST_ROWS:,}."
        )
    if first.astype("datetime64[s]") + rows * np.timedelta64(period_s, "s") >= _LAST:
        raise ConfigError(f"days={days} from {start!r} go beyond the year 2261.")
    return first + np.arange(rows) * np.timedelta64(period_s, "s").astype("timedelta64[ns]")


def _read_start(start: str) -> np.datetime64:
    try:
        moment = datetime.fromisoformat(start)
    except (TypeError, ValueError):
        moment = datetime.max
    if not 1678 <= moment.year <= 2261:
        raise ConfigError(f'start must be a date such as "2026-01-05", found {start!r}.')
    utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(utc, "ns")


def _plan_faults(
    faults: Literal["default"] | Sequence[Fault] | None,
    names: tuple[str, ...],
    time: NDArray[np.datetime64],
    rng: np.random.Generator,
) -> tuple[np.datetime64, tuple[Fault, ...]]:
    """Return the end of the fault-free part and the faults in order of their start."""
    if isinstance(faults, str):
        if faults != "default":
            raise ConfigError(f'faults must be "default", None or faults, found {faults!r}.')
        later = time[int(_NORMAL_SHARE * len(time)) :]
        return later[0], default_faults(names, later, rng)
    for fault in faults or ():
        check_fault(fault, names)
        if not time[0] <= fault.started <= time[-1]:
            raise ConfigError(
                f"a {fault.kind} fault starts at {fault.started}, outside the plant's record "
                f"from {time[0]} to {time[-1]}."
            )
    planned = tuple(sorted(faults or (), key=lambda fault: (fault.started, fault.asset)))
    end = time[-1] + (time[1] - time[0])
    return min([end, *(fault.started for fault in planned)]), planned
