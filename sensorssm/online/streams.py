"""A forecaster's online states, one an asset, beside a detector's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.online.clock import steps_between

if TYPE_CHECKING:
    from sensorssm.estimators import SSMForecaster

FloatArray = NDArray[np.float64]

BAND = (0.1, 0.5, 0.9)  # the quantiles of a result's lower and upper


class Streams:
    """The streams of a fitted forecaster for some assets, each by its own readout where it has one."""

    def __init__(self, forecaster: SSMForecaster, assets: Sequence[str]) -> None:
        self._tags, self._period_s = len(forecaster.tags_), forecaster.period_s_
        self._streams = [forecaster.stream(asset, anew=True) for asset in assets]

    def band(self, row: int) -> tuple[FloatArray, FloatArray]:
        """Return the band (M,) that is foreseen for the instant about to be read."""
        ahead = self._streams[row].forecast(1, BAND)[0]
        return ahead[:, 0], ahead[:, -1]

    def bands(self, rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the bands (A, M) of some assets."""
        ahead = [self._streams[row].forecast(1, BAND)[0] for row in rows]
        bands = np.reshape(ahead, (len(rows), self._tags, len(BAND)))
        return bands[..., 0], bands[..., -1]

    def read_on(self, row: int, readings: FloatArray, before: int, stamp: int | None) -> None:
        """Take an asset's readings (M,) at `stamp`, after those at `before`, ns or None."""
        self._streams[row].update(readings, steps_between(before, stamp, self._period_s))

    def forecast(
        self, row: int, horizon: int | None, quantiles: Sequence[float] | None
    ) -> FloatArray:
        """Return the forecast of one asset from now on, (H, M, Q), or (H, M) without quantiles."""
        return self._streams[row].forecast(horizon, quantiles)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Return the state of all assets as named arrays."""
        return {
            f"stream/{row}/{name}": array
            for row, stream in enumerate(self._streams)
            for name, array in stream.snapshot().items()
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a snapshot; ModelFileError, and nothing moved, where one is damaged."""
        parts = [_under(f"stream/{row}/", arrays) for row in range(len(self._streams))]
        for stream, part in zip(self._streams, parts, strict=True):
            stream.check(part)  # all of them, before any is moved
        for stream, part in zip(self._streams, parts, strict=True):
            stream.restore(part)


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names start with `prefix`, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
