"""How a forecaster fares step by step, level by level and tag by tag, noted while it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from sensorssm_pipelines.store import Store

FloatArray = NDArray[np.float64]


class Watched:
    """A forecaster that counts what it told against what came, on every forecast asked of it.

    A backtest asks for each forecast once; watching costs none more. Errors are in the unit in
    which the forecaster speaks.
    """

    def __init__(self, model: Any, tags: Sequence[str]) -> None:
        self._model, self._tags = model, list(tags)
        self._X: Any = None
        self._values = np.empty((0, len(self._tags)))
        self._levels: tuple[float, ...] = ()
        self._told: dict[str, FloatArray] = {}  # sums and counts, (H, M) or (Q, M)

    def readings(self, X: Any) -> FloatArray:
        """Return the tags of a table as the forecaster does."""
        return self._model.readings(X)

    def forecast_from(
        self, X: Any, origins: ArrayLike, horizon: int, quantiles: Sequence[float] | None
    ) -> FloatArray:
        """Return the forecaster's forecasts, counted."""
        told = self._model.forecast_from(X, origins, horizon, quantiles)
        rows = np.asarray(origins)[:, None] + np.arange(1, horizon + 1)
        truth = self._read(X)[rows]
        if quantiles is None:
            self._add("error", np.abs(truth - told), axis=0)
        else:
            self._levels = tuple(float(level) for level in quantiles)
            self._count(truth, told)
        return told

    def by_step(self) -> pl.DataFrame:
        """Return tag, step, mae, pinball and how many readings were known, a row a tag and step."""
        error = self._mean("error")
        steps, tags = error.shape
        return pl.DataFrame(
            {
                "tag": self._tags * steps,
                "step": np.repeat(np.arange(1, steps + 1), tags),
                "mae": error.reshape(-1),
                "pinball": self._mean("pinball").reshape(-1),
                "readings": self._told["error known"].reshape(-1).astype(np.int64),
            }
        )

    def by_level(self) -> pl.DataFrame:
        """Return tag, level and `below`: the share of readings at or below that quantile."""
        below = self._mean("below")
        levels, tags = below.shape
        return pl.DataFrame(
            {
                "tag": self._tags * levels,
                "level": np.repeat(self._levels, tags),
                "below": below.reshape(-1),
                "readings": self._told["below known"].reshape(-1).astype(np.int64),
            }
        )

    def _read(self, X: Any) -> FloatArray:
        if X is not self._X:
            self._X, self._values = X, self._model.readings(X)
        return self._values

    def _count(self, truth: FloatArray, fan: FloatArray) -> None:
        """Count quantiles (k, H, M, Q); level by level, for all at once would take Q times more."""
        loss = np.zeros(truth.shape)
        below = np.empty((len(self._levels), *truth.shape))
        for q, level in enumerate(self._levels):
            miss = truth - fan[..., q]
            loss += np.maximum(level * miss, (level - 1.0) * miss) / len(self._levels)
            below[q] = np.where(np.isnan(miss), np.nan, miss <= 0)
        self._add("pinball", loss, axis=0)
        self._add("below", below, axis=(1, 2))

    def _add(self, name: str, found: FloatArray, axis: int | tuple[int, ...]) -> None:
        known = np.isfinite(found)
        for key, part in ((name, np.where(known, found, 0.0)), (f"{name} known", known)):
            total = part.sum(axis=axis, dtype=np.float64)
            self._told[key] = self._told.get(key, np.zeros_like(total)) + total

    def _mean(self, name: str) -> FloatArray:
        known = self._told[f"{name} known"]
        return np.where(known > 0, self._told[name] / np.maximum(known, 1), np.nan)


@dataclass
class Skill:
    """What was watched of several models on several assets, as rows of the store's tables."""

    by_step: list[pl.DataFrame] = field(default_factory=list)
    by_level: list[pl.DataFrame] = field(default_factory=list)

    def add(self, asset: str, model: str, watched: Watched) -> None:
        """Take in one model on one asset."""
        named = {"asset": pl.lit(asset), "model": pl.lit(model)}
        self.by_step.append(watched.by_step().with_columns(**named))
        self.by_level.append(watched.by_level().with_columns(**named))

    def write(self, store: Store, run: str) -> None:
        """Store all of it under the name of a run."""
        for parts, write in (
            (self.by_step, store.write_skill), (self.by_level, store.write_calibration)
        ):  # fmt: skip
            if parts:
                write(pl.concat(parts).with_columns(run=pl.lit(run)))
