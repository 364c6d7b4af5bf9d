"""Rolling origins: what a forecaster would have said along a series it was not fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError
from sensorssm.evaluation.diebold_mariano import diebold_mariano
from sensorssm.evaluation.forecast import (
    crps_by_origin,
    crps_from_quantiles,
    interval_coverage,
    mean_absolute_error,
    mean_absolute_scaled_error,
    mean_squared_error,
    naive_scale,
    pinball_loss,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Forecaster(Protocol):
    """What a backtest asks of an estimator."""

    def readings(self, X: Any) -> FloatArray:
        """Return the tags of a table as an array (n, M)."""
        ...

    def forecast_from(
        self, X: Any, origins: ArrayLike, horizon: int, quantiles: ArrayLike | None, /
    ) -> FloatArray:
        """Return forecasts (n, H, M), or with quantiles (n, H, M, Q)."""
        ...


def rolling_origins(
    rows: int, horizon: int, *, first: int = 0, stride: int = 1, purge: int = 0
) -> IntArray:
    """Return origins from row `first` on, `stride` apart, whose whole horizon lies in `rows`.

    `purge` rows after `first` are skipped, so that no target touches what a model was fitted on
    through overlapping features.

    Raises
    ------
    DataError : not one origin fits.
    """
    origins = np.arange(first + purge, rows - horizon, stride)
    if len(origins) == 0:
        raise DataError(
            f"no origin from row {first + purge} has {horizon} steps after it in {rows} rows. "
            "Shorten the horizon or give more rows."
        )
    return origins


def backtest(
    estimators: Any,
    X: Any,
    *,
    horizon: int,
    origins: ArrayLike | None = None,
    first: int = 0,
    stride: int = 1,
    purge: int = 0,
    season: int = 1,
    levels: ArrayLike = LEVELS,
    batch: int = 256,
) -> dict[str, list[Any]]:
    """Judge fitted estimators on rolling origins of one asset's series `X`.

    Parameters
    ----------
    estimators : a fitted forecaster, or a mapping from name to one
    X : an array or frame in time order, from where the forecasters may start to read; rows before
        `first` are context
    origins : rows of `X` to forecast from; by default `rolling_origins(first, stride, purge)`
    season : of the naive error that MASE is scaled by, taken over the rows up to the first origin
    levels : of the quantiles; WQL, CRPS, coverage and calibration come from them
    batch : origins forecast at a time; bounds the memory

    Returns
    -------
    columns of a table with one row per model: model, origins, mse, mae, mase, pinball, wql, crps,
    coverage (of the outermost two levels), interval (their wanted coverage), calibration_error,
    dm and dm_p (statistic and p-value of `diebold_mariano` against the first model, by each
    origin's CRPS over `naive_scale`; negative is better than the first, whose own are 0 and 1;
    NaN with a single origin, which proves nothing)
    """
    named = estimators if isinstance(estimators, Mapping) else {_name(estimators): estimators}
    values = next(iter(named.values())).readings(X)
    rows = (
        rolling_origins(len(values), horizon, first=first, stride=stride, purge=purge)
        if origins is None
        else np.asarray(origins, dtype=np.int64)
    )
    if rows.min() < 0 or rows.max() + horizon >= len(values):
        raise ConfigError(
            f"origins {rows.min()} to {rows.max()} with {horizon} steps each leave the "
            f"{len(values)} rows of X"
        )
    level = np.asarray(levels, dtype=np.float64)
    scale = naive_scale(values[: max(int(rows.min()) + 1, season + 1)], season)
    truth = values[rows[:, None] + np.arange(1, horizon + 1)]
    table: dict[str, list[Any]] = {}
    losses: list[FloatArray] = []
    for name, estimator in named.items():
        metrics, loss = _judge(estimator, X, rows, truth, horizon, level, scale, batch)
        losses.append(loss)
        metrics |= _versus(loss, losses[0], _overlap(rows, horizon))
        for key, value in {"model": name, "origins": len(rows), **metrics}.items():
            table.setdefault(key, []).append(value)
    return table


def _versus(loss: FloatArray, first: FloatArray, overlap: int) -> dict[str, float]:
    if loss is first:
        return {"dm": 0.0, "dm_p": 1.0}
    if np.isfinite(loss + first).sum() < 2:  # one origin proves nothing
        return {"dm": float("nan"), "dm_p": float("nan")}
    found = diebold_mariano(loss, first, overlap=overlap)
    return {"dm": found.statistic, "dm_p": found.p_value}


def _overlap(rows: IntArray, horizon: int) -> int:
    """Return how many origins in a row share targets, the first of them included."""
    apart = int(np.median(np.diff(rows))) if len(rows) > 1 else horizon
    return -(-horizon // max(apart, 1))


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _judge(
    estimator: Forecaster,
    X: Any,
    rows: IntArray,
    truth: FloatArray,
    horizon: int,
    level: FloatArray,
    scale: FloatArray,
    batch: int,
) -> tuple[dict[str, float], FloatArray]:
    """Return the metrics of one model, averaged over batches by what each one knows, and the CRPS
    of each origin, in naive errors."""
    totals: dict[str, float] = {}
    weights = 0.0
    size = float(np.nansum(np.abs(truth)) / max(np.isfinite(truth).sum(), 1))
    below, loss = np.zeros(len(level)), np.full(len(rows), np.nan)
    for at in range(0, len(rows), batch):
        part = slice(at, at + batch)
        known = float(np.isfinite(truth[part]).sum())
        if known == 0:
            continue
        point = estimator.forecast_from(X, rows[part], horizon, None)
        fan = estimator.forecast_from(X, rows[part], horizon, level)
        metrics = _metrics(truth[part], point, fan, level, scale)
        loss[part] = crps_by_origin(truth[part] / scale, fan / scale[:, None], level)
        below += known * np.array(
            [interval_coverage(truth[part], -np.inf, fan[..., q]) for q in range(len(level))]
        )
        for key, value in metrics.items():
            totals[key] = totals.get(key, 0.0) + known * value
        weights += known
    if weights == 0:
        raise DataError("every target of the backtest is missing, wanted at least one reading")
    mean = {key: value / weights for key, value in totals.items()}
    mean["wql"] = mean["crps"] / size if size > 0 else float("nan")
    mean["interval"] = float(level[-1] - level[0])
    mean["calibration_error"] = float(np.mean(np.abs(below / weights - level)))
    return mean, loss


def _metrics(
    truth: FloatArray, point: FloatArray, fan: FloatArray, level: FloatArray, scale: FloatArray
) -> dict[str, float]:
    return {
        "mse": mean_squared_error(truth, point),
        "mae": mean_absolute_error(truth, point),
        "mase": mean_absolute_scaled_error(truth, point, scale),
        "pinball": float(np.mean(pinball_loss(truth, fan, level))),
        "wql": 0.0,
        "crps": crps_from_quantiles(truth, fan, level),
        "coverage": interval_coverage(truth, fan[..., 0], fan[..., -1]),
    }
