"""DLinear: a linear map of a window's trend plus one of its remainder, solved in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sensorssm.errors import ShapeError
from sensorssm.estimators.checks import check_steps
from sensorssm.estimators.fold import CHUNK, State
from sensorssm.estimators.folder import Arrays
from sensorssm.estimators.learning import Series
from sensorssm.estimators.peer import Peer
from sensorssm.estimators.scale import Scale
from sensorssm.scoring.conformal import LEVELS, fit_offsets, read_offsets

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Penalties that are tried, in mean powers of a window's features.
RIDGES = np.logspace(-6, 1, 8)
#: Held-back rows that choose the penalty and give the quantiles, evenly spread.
JUDGED_ROWS = 2000


class DLinear(Peer):
    """Forecast by two linear maps of the last `context` readings, shared by the tags.

    A moving mean over `trend` steps splits the window into trend and remainder; each has a map of
    its own to the horizon. The maps are the ridge regression that the published model descends to,
    with its penalty chosen on held-back rows; quantiles come from the residuals there. Missing
    readings repeat the last one. It knows rows, not time: uneven steps make no difference.

    Parameters
    ----------
    horizon : steps to forecast
    context : readings that a forecast is made from
    trend : steps of the moving mean

    References
    ----------
    Zeng et al. 2023, arXiv:2205.13504; Toner and Darlow 2024, arXiv:2403.14587 (closed form).
    """

    def __init__(self, *, horizon: int = 96, context: int = 336, trend: int = 25) -> None:
        self.horizon = horizon
        self.context = context
        self.trend = trend

    def _check_settings(self) -> None:
        check_steps(horizon=self.horizon, context=self.context, trend=self.trend)

    def _learn(self, series: Mapping[str, Series], *, alone: bool) -> WindowFold:
        every = list(series.values())
        known = np.concatenate([own.values[: own.trained] for own in every])
        scale = Scale.of(known)
        split = trend_and_remainder(self.context, self.trend)
        lessons = [_Lesson.of(scale.strip(own.values), self.context) for own in every]
        power, cross = self._sums(lessons, [(0, own.trained) for own in every], split)
        truth = [self._held_back(own, lesson) for own, lesson in zip(every, lessons, strict=True)]
        windows, wanted = (np.concatenate(parts) for parts in zip(*truth, strict=True))
        tried = [split.T @ _solve(power, cross, ridge) for ridge in RIDGES]
        best = int(np.argmin([np.nansum((wanted - _apply(maps, windows)) ** 2) for maps in tried]))
        maps = tried[best]
        offsets = fit_offsets(wanted - _apply(maps, windows))
        if alone:  # the rows that were held back teach too, once the penalty is chosen
            ends = [(own.trained - self.horizon, len(own.values)) for own in every]
            more = self._sums(lessons, ends, split)
            maps = split.T @ _solve(power + more[0], cross + more[1], RIDGES[best])
        return WindowFold(maps, offsets, scale.centre, scale.spread)

    def _sums(
        self, lessons: Sequence[_Lesson], spans: Sequence[tuple[int, int]], split: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the products of features with themselves and with targets, over all spans."""
        power = np.zeros((self.context, self.context))
        cross = np.zeros((self.context, self.horizon))
        for lesson, (first, end) in zip(lessons, spans, strict=True):
            for windows, after in lesson.pairs(max(first, 0), end, self.horizon):
                power += windows.T @ windows
                cross += windows.T @ after
        return split @ power @ split.T, split @ cross

    def _held_back(self, own: Series, lesson: _Lesson) -> tuple[FloatArray, FloatArray]:
        """Return windows (k, M, L) and what followed them (k, H, M), NaN where unknown."""
        last = len(own.values) - 2
        first = min(own.trained - 1, last)
        rows = np.unique(np.linspace(first, last, JUDGED_ROWS).astype(np.int64))
        ahead = np.pad(lesson.values, ((0, self.horizon), (0, 0)), constant_values=np.nan)
        return lesson.windows[rows], ahead[rows[:, None] + np.arange(1, self.horizon + 1)]

    @classmethod
    def _fold_from(cls, config: Mapping[str, Any], arrays: Arrays) -> WindowFold:
        fold = WindowFold(*(arrays[name] for name in ("maps", "offsets", "centre", "spread")))
        tags, horizon = len(fold.centre), fold.maps.shape[1]
        if fold.offsets.shape != (tags, horizon, len(LEVELS)) or fold.spread.shape != (tags,):
            raise ShapeError(f"offsets {fold.offsets.shape} for {tags} tags, {horizon} steps")
        return fold


@dataclass(frozen=True)
class WindowFold:
    """A map from the last L readings of a tag, and offsets for its quantiles.

    maps (L, H); offsets (M, H, levels) in spreads; centre, spread (M,) in each tag's unit.
    """

    maps: FloatArray
    offsets: NDArray[np.float32]
    centre: FloatArray
    spread: FloatArray

    @property
    def horizon(self) -> int:
        """Steps that can be forecast."""
        return self.maps.shape[1]

    def start(self) -> State:
        """Return a window (L, M) of nothing but each tag's centre."""
        return {"window": np.zeros((len(self.maps), len(self.centre)))}

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: State, rows: IntArray
    ) -> tuple[FloatArray, State]:
        """Read values; return the windows at `rows`, (k, M L), and the window after all."""
        scaled = (values - self.centre) / self.spread
        held = _hold(np.concatenate([state["window"], scaled]))
        windows = sliding_window_view(held, len(self.maps), axis=0)
        seen = windows[rows + 1].reshape(len(rows), self.maps.shape[0] * values.shape[1])
        return seen, {"window": held[-len(self.maps) :].copy()}

    def look(self, state: State) -> FloatArray:
        """Return the window of a state, (1, M L)."""
        return state["window"].T.reshape(1, -1)

    def tell(self, seen: FloatArray, horizon: int, levels: FloatArray | None = None) -> FloatArray:
        """Return forecasts (k, H, M), with levels (k, H, M, Q), in each tag's unit."""
        windows = seen.reshape(len(seen), len(self.centre), -1)
        point = self.centre + self.spread * _apply(self.maps[:, :horizon], windows)
        if levels is None:
            return point
        offsets = read_offsets(self.offsets[:, :horizon], levels)
        return point[..., None] + self.spread[:, None] * offsets

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays, for a model folder."""
        parts = {"maps": self.maps, "offsets": self.offsets}
        return {}, parts | {"centre": self.centre, "spread": self.spread}


def trend_and_remainder(context: int, trend: int) -> FloatArray:
    """Return the matrix (2 L, L) that splits a window into moving mean and what is left.

    The window's ends are repeated, as in the published model.
    """
    reach = np.arange(trend) - (trend - 1) // 2
    at = np.clip(np.arange(context)[:, None] + reach, 0, context - 1)
    mean = np.zeros((context, context))
    np.add.at(mean, (np.arange(context)[:, None], at), 1.0 / trend)
    return np.concatenate([mean, np.eye(context) - mean])


@dataclass(frozen=True)
class _Lesson:
    """One asset's scaled readings (n, M), and the window (n, M, L) that ends at each row."""

    values: FloatArray
    windows: FloatArray

    @classmethod
    def of(cls, values: FloatArray, context: int) -> _Lesson:
        before = np.zeros((context - 1, values.shape[1]))
        held = _hold(np.concatenate([before, values]))
        return cls(values, sliding_window_view(held, context, axis=0))

    def pairs(self, first: int, end: int, horizon: int) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield windows (k, L) and the H steps after them, all within rows `first` to `end`.

        To learn from, a missing target is read off the line between the readings around it.
        """
        whole = np.stack([_line(column) for column in self.values[:end].T])
        for at in range(first, end - horizon, CHUNK):
            rows = np.arange(at, min(at + CHUNK, end - horizon))
            after = sliding_window_view(whole, horizon, axis=1)[:, rows + 1]
            windows = self.windows[rows].transpose(1, 0, 2)
            yield windows.reshape(-1, windows.shape[2]), after.reshape(-1, horizon)


def _hold(values: FloatArray) -> FloatArray:
    """Return (n, M) values with each missing one as the one before; the first row is whole."""
    rows = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)


def _line(column: FloatArray) -> FloatArray:
    seen = np.flatnonzero(np.isfinite(column))
    if len(seen) == 0:
        return np.zeros_like(column)
    return np.interp(np.arange(len(column)), seen, column[seen])


def _solve(power: FloatArray, cross: FloatArray, ridge: float) -> FloatArray:
    size = np.trace(power) / len(power)
    if size == 0:
        return np.zeros_like(cross)
    return np.linalg.solve(power + ridge * size * np.eye(len(power)), cross)


def _apply(maps: FloatArray, windows: FloatArray) -> FloatArray:
    """Return (k, H, M) of windows (k, M, L)."""
    return np.swapaxes(windows @ maps, 1, 2)
