"""Missing readings replaced by what was to be expected of them, from the rows before alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ConfigError
from sensorssm.estimators.assets import AssetRows, between_steps
from sensorssm.estimators.rolling import RollingForecaster
from sensorssm.frames import replaced
from sensorssm.scoring.conformal import check_levels

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Forecasts of these many steps are made for gaps no longer than that; of the horizon for others.
SHORT_GAPS = (8, 64)

#: Returns the forecasts (k, H, M) of H steps after k increasing rows of a record.
Paths = Callable[[AssetRows, IntArray, int], FloatArray]


def fill(
    record: AssetRows, paths: Paths, level: FloatArray, horizon: int, seasons: Sequence[int]
) -> FloatArray:
    """Return a record's values (n, M) with each missing one forecast from its tag's last reading.

    A reading that never came before is the `level` (M,). A gap longer than the horizon goes on with
    the last season of the forecast, or its last step.
    """
    values = record.values.copy()
    gaps = _Gaps.of(record)
    values[gaps.row, gaps.tag] = level[gaps.tag]
    at = _within(gaps.steps, horizon, seasons)
    sizes = np.unique(np.minimum((*SHORT_GAPS, horizon), horizon))
    size = np.searchsorted(sizes, at)
    for i, steps in enumerate(sizes):
        mine = np.flatnonzero((gaps.origin >= 0) & (size == i))
        if len(mine):
            rows, back = np.unique(gaps.origin[mine], return_inverse=True)
            told = between_steps(paths(record, rows, int(steps))[back], at[mine])
            values[gaps.row[mine], gaps.tag[mine]] = told[np.arange(len(mine)), gaps.tag[mine]]
    return values


class _Gaps(NamedTuple):
    """Each missing reading: its row and tag, the tag's last row that was read (-1 is none), and
    the steps between them."""

    row: IntArray
    tag: IntArray
    origin: IntArray
    steps: FloatArray

    @classmethod
    def of(cls, record: AssetRows) -> _Gaps:
        known = np.isfinite(record.values)
        rows = np.arange(len(known))[:, None]
        last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
        row, tag = np.nonzero(~known)
        position = np.cumsum(record.elapsed)
        return cls(row, tag, last[row, tag], position[row] - position[last[row, tag]])


def _within(steps: FloatArray, horizon: int, seasons: Sequence[int]) -> FloatArray:
    """Return where on a forecast's path each step lies: beyond it, in its last season."""
    season = next((season for season in seasons if season <= horizon), None)
    if season is None:
        return np.clip(steps, 1.0, horizon)
    beyond = np.maximum(np.ceil((steps - horizon) / season), 0.0)
    return np.clip(steps - beyond * season, 1.0, horizon)


class Imputing(RollingForecaster):
    """Gives `impute` to a forecaster that knows seasons."""

    season_: tuple[int, ...]

    def impute(
        self,
        X: Any,
        quantile: float | None = None,
        *,
        times: Any = None,
        groups: Any = None,
        future: Any = None,
    ) -> Any:
        """Return `X` with each missing reading as it was to be expected, in the caller's kind.

        That is the forecast from the tag's last reading before the gap, or a quantile of it: 0.1
        and 0.9 bound what it may have been. Nothing looks ahead, so a gap does not bend towards the
        reading that ends it. Gaps at the start hold the level of the training readings. How many
        were filled of each tag is logged, at the level of information.

        Raises
        ------
        ConfigError : several quantiles, or one that does not lie between 0 and 1
        """
        records = self._beside(self._records(X, times, groups), future)
        levels = None if quantile is None else check_levels(quantile)
        if levels is not None and len(levels) > 1:
            raise ConfigError(f"quantile={quantile!r}, wanted one: a gap is filled by one value")

        def paths(record: AssetRows, rows: IntArray, steps: int) -> FloatArray:
            told = np.concatenate([*self._along(record, rows, steps, levels)])
            return told if levels is None else told[..., 0]

        parts = [fill(own, paths, self._centre, self.horizon_, self.season_) for own in records]
        values = np.concatenate(parts)
        missing = sum(np.isnan(own.values).sum(axis=0) for own in records)
        counts = dict(zip(self.tags_, np.asarray(missing).tolist(), strict=True))
        logger.info("filled %d of %d readings: %s", sum(counts.values()), values.size, counts)
        return replaced(X, {tag: values[:, i] for i, tag in enumerate(self.tags_)})
