"""The rows of one asset, cut out of a window, and how they join what was seen before."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import DataError
from sensorssm.frames import Window

FloatArray = NDArray[np.float64]


class AssetRows(NamedTuple):
    """One asset's rows: values (k, M), elapsed (k,) steps, and time (k,) in ns, or None.

    `future` (k or more, K), where there is one, are the inputs known in advance, row by row.
    """

    asset: str
    values: FloatArray
    elapsed: FloatArray
    time: NDArray[np.int64] | None
    future: FloatArray | None = None

    @property
    def end_ns(self) -> int | None:
        """The time of the last row, where times are known."""
        return None if self.time is None else int(self.time[-1])

    def until(self, row: int) -> AssetRows:
        """Return the rows before `row`, with all that is known in advance."""
        time = None if self.time is None else self.time[:row]
        return AssetRows(self.asset, self.values[:row], self.elapsed[:row], time, self.future)

    def following(self, end_ns: int | None, period_s: float | None) -> AssetRows:
        """Return the rows with the real gap since `end_ns` in front, where times are known.

        Raises
        ------
        DataError : the rows start before what was seen ends.
        """
        if self.time is None or end_ns is None or period_s is None:
            return self
        gap_s = (int(self.time[0]) - end_ns) / 1e9
        if gap_s <= 0:
            raise DataError(
                f"the rows of asset {self.asset!r} start {-gap_s:g} s before what was seen ends, "
                "wanted rows that follow in time"
            )
        return self._replace(elapsed=np.r_[gap_s / period_s, self.elapsed[1:]])


def assets_of(window: Window) -> Iterator[AssetRows]:
    """Yield the rows of each asset, in the window's order."""
    for low, high in pairwise([*window.starts, len(window.values)]):
        part = slice(low, high)
        time = None if window.time is None else window.time[part]
        asset = window.groups[window.group[low]]
        yield AssetRows(asset, window.values[part], window.elapsed[part], time)


def between_steps(paths: FloatArray, elapsed: FloatArray) -> FloatArray:
    """Read each path (n, S, M) at its elapsed step, on the line between whole steps from 1."""
    at = np.clip(elapsed, 1.0, paths.shape[1]) - 1.0
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, paths.shape[1] - 1)
    share = (at - low)[:, None]
    rows = np.arange(len(paths))
    return (1 - share) * paths[rows, low] + share * paths[rows, high]
