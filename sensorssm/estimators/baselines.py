"""What every model must beat: the last season, the last value, an exponential mean."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sensorssm.errors import ConfigError, ShapeError
from sensorssm.estimators.checks import check_steps
from sensorssm.estimators.fold import State
from sensorssm.estimators.folder import Arrays
from sensorssm.estimators.learning import Series
from sensorssm.estimators.peer import Peer
from sensorssm.estimators.targets import Targets
from sensorssm.scoring.conformal import LEVELS, fit_offsets, read_offsets

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Rows that the quantiles of a baseline are taken from, evenly spread.
JUDGED_ROWS = 2000


class Rule(Protocol):
    """What a baseline remembers of an asset, K numbers a tag, and how that goes on."""

    def start(self, level: FloatArray) -> FloatArray:
        """Return what is remembered before any reading, (K, M); `level` (M,) is forecast."""
        ...

    def remember(self, values: FloatArray, before: FloatArray) -> FloatArray:
        """Return what is remembered after each row of (n, M) values, (n, K, M)."""
        ...

    def go_on(self, memory: FloatArray, horizon: int) -> FloatArray:
        """Return the forecasts (n, H, M) of what is remembered, (n, K, M)."""
        ...


class SeasonalNaive(Peer):
    """Forecast every tag by repeating its last season; `season=1` repeats the last value.

    Parameters
    ----------
    season, horizon : in steps
    """

    def __init__(self, *, season: int = 24, horizon: int = 96) -> None:
        self.season = season
        self.horizon = horizon

    def _check_settings(self) -> None:
        check_steps(season=self.season, horizon=self.horizon)

    def _learn(self, series: Mapping[str, Series], *, alone: bool) -> BaselineFold:
        return BaselineFold.learned(_LastSeason(self.season), series.values(), self.horizon, alone)

    @classmethod
    def _fold_from(cls, config: Mapping[str, Any], arrays: Arrays) -> BaselineFold:
        return BaselineFold.of_parts(_LastSeason(int(config["season"])), arrays)


class EWMA(Peer):
    """Forecast every tag by the exponentially weighted mean of its readings.

    Parameters
    ----------
    span : steps after which a reading's weight has fallen to about an eighth, as in pandas
    horizon : in steps
    """

    def __init__(self, *, span: float = 24, horizon: int = 96) -> None:
        self.span = span
        self.horizon = horizon

    def _check_settings(self) -> None:
        check_steps(horizon=self.horizon)
        if not self.span >= 1:
            raise ConfigError(f"span={self.span!r}, wanted steps of at least 1")

    def _learn(self, series: Mapping[str, Series], *, alone: bool) -> BaselineFold:
        return BaselineFold.learned(_Mean(self.span), series.values(), self.horizon, alone)

    @classmethod
    def _fold_from(cls, config: Mapping[str, Any], arrays: Arrays) -> BaselineFold:
        return BaselineFold.of_parts(_Mean(float(config["span"])), arrays)


@dataclass(frozen=True)
class BaselineFold:
    """A rule, the level (M,) it starts from, and how far off it was: offsets (M, H, levels)."""

    rule: Rule
    centre: FloatArray
    offsets: NDArray[np.float32]

    @classmethod
    def learned(
        cls, rule: Rule, series: Collection[Series], horizon: int, alone: bool
    ) -> BaselineFold:
        """Return the rule with the mean of the training rows, and its own errors on all rows."""
        taught = [own.values if alone else own.values[: own.trained] for own in series]
        level = np.nanmean(np.concatenate(taught), axis=0)
        off = [_residuals(rule, own.values, level, horizon) for own in series]
        return cls(rule, level, fit_offsets(np.concatenate(off)))

    @classmethod
    def of_parts(cls, rule: Rule, arrays: Arrays) -> BaselineFold:
        """Return the fold that `to_parts` took apart.

        Raises
        ------
        ShapeError : arrays that do not fit together.
        """
        level, offsets = arrays["level"], arrays["offsets"]
        if offsets.ndim != 3 or (len(offsets), offsets.shape[2]) != (len(level), len(LEVELS)):
            raise ShapeError(f"offsets {offsets.shape} for {len(level)} tags")
        return cls(rule, level, offsets)

    @property
    def horizon(self) -> int:
        """Steps that can be forecast."""
        return self.offsets.shape[1]

    def start(self) -> State:
        """Return what is remembered of nothing."""
        return {"memory": self.rule.start(self.centre)}

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: State, rows: IntArray
    ) -> tuple[FloatArray, State]:
        """Read values, one step a row; return what is remembered at `rows`, and after all."""
        memory = self.rule.remember(values, state["memory"])
        return memory[rows], {"memory": memory[-1].copy()}

    def look(self, state: State) -> FloatArray:
        """Return what is remembered, (1, K, M)."""
        return state["memory"][None]

    def tell(self, seen: FloatArray, horizon: int, levels: FloatArray | None = None) -> FloatArray:
        """Return forecasts (k, H, M), with levels (k, H, M, Q), in each tag's unit."""
        point = self.rule.go_on(seen, horizon)
        if levels is None:
            return point
        return point[..., None] + read_offsets(self.offsets[:, :horizon], levels)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays, for a model folder."""
        return dict(vars(self.rule)), {"level": self.centre, "offsets": self.offsets}


@dataclass(frozen=True)
class _LastSeason:
    """Remembers a season; a missing reading repeats the season before."""

    season: int

    def start(self, level: FloatArray) -> FloatArray:
        return np.repeat(level[None], self.season, axis=0)

    def remember(self, values: FloatArray, before: FloatArray) -> FloatArray:
        held = np.concatenate([before, values])
        for row in range(self.season, len(held)):
            held[row] = np.where(np.isnan(held[row]), held[row - self.season], held[row])
        return sliding_window_view(held[1:], self.season, axis=0).transpose(0, 2, 1)

    def go_on(self, memory: FloatArray, horizon: int) -> FloatArray:
        return memory[:, np.arange(horizon) % self.season]


@dataclass(frozen=True)
class _Mean:
    """Remembers the mean, and two sums: of readings and of weights; missing ones are left out."""

    span: float

    def start(self, level: FloatArray) -> FloatArray:
        return np.stack([level, np.zeros_like(level), np.zeros_like(level)])

    def remember(self, values: FloatArray, before: FloatArray) -> FloatArray:
        keep = 1.0 - 2.0 / (self.span + 1.0)
        (mean, total, weight), out = before, np.empty((len(values), *before.shape))
        for row, x in enumerate(values):
            known = np.isfinite(x)
            total = keep * total + np.where(known, x, 0.0)
            weight = keep * weight + known
            mean = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), mean)
            out[row] = mean, total, weight
        return out

    def go_on(self, memory: FloatArray, horizon: int) -> FloatArray:
        return np.repeat(memory[:, :1], horizon, axis=1)


def _residuals(rule: Rule, values: FloatArray, level: FloatArray, horizon: int) -> FloatArray:
    """Return observed minus forecast, (k, H, M), NaN past the end of the rows."""
    rows = np.unique(np.linspace(0, len(values) - 2, JUDGED_ROWS).astype(np.int64))
    memory = rule.remember(values, rule.start(level))
    truth = Targets.of(values, np.ones(len(values)))
    return truth.after_all(rows, horizon) - rule.go_on(memory[rows], horizon)
