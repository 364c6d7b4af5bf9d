"""Numbers that judge a forecast. Missing targets (NaN) are left out of every one of them.

Shapes: observed and point (..., H, M); quantiles (..., H, M, Q) at levels (Q,), increasing.
A number that nothing is known for is NaN; no function warns. A forecast that is missing or infinite
where its target is known is no number to judge: it raises `DataError`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import DataError, ShapeError

FloatArray = NDArray[np.float64]


def mean_squared_error(observed: ArrayLike, point: ArrayLike) -> float:
    """Return the mean squared error, in squared units of the tag."""
    return _mean(_residual(observed, point) ** 2)


def mean_absolute_error(observed: ArrayLike, point: ArrayLike) -> float:
    """Return the mean absolute error, in units of the tag."""
    return _mean(np.abs(_residual(observed, point)))


def naive_scale(train: ArrayLike, season: int = 1) -> FloatArray:
    """Return the mean absolute error (M,) of repeating the last season within `train` (n, M).

    A tag that repeats itself exactly, or has no pair of readings a season apart, gets 1.
    """
    values = np.asarray(train, dtype=np.float64)
    change = np.abs(values[season:] - values[:-season])
    known = np.isfinite(change)
    total = np.where(known, change, 0.0).sum(axis=0)
    scale = total / np.maximum(known.sum(axis=0), 1)
    return np.where(scale > 0, scale, 1.0)


def mean_absolute_scaled_error(observed: ArrayLike, point: ArrayLike, scale: ArrayLike) -> float:
    """Return MASE: absolute errors over each tag's `naive_scale` (M,); 1 is the naive forecast.

    References
    ----------
    Hyndman and Koehler 2006, International Journal of Forecasting 22, 679-688.
    """
    return _mean(np.abs(_residual(observed, point)) / np.asarray(scale))


def pinball_loss(observed: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> FloatArray:
    """Return the mean pinball loss (Q,) of each level, in units of the tag."""
    level, miss = _misses(observed, quantiles, levels)
    return _mean_by_level(np.maximum(level * miss, (level - 1.0) * miss))


def weighted_quantile_loss(observed: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Return WQL: twice the summed pinball loss over the summed |observed|, averaged over levels."""
    size = _mean(np.abs(np.asarray(observed, dtype=np.float64)))
    loss = 2.0 * float(np.mean(pinball_loss(observed, quantiles, levels)))
    return loss / size if size > 0 else float("nan")


def crps_from_quantiles(observed: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Return the continuous ranked probability score: twice the mean pinball loss over the levels.

    It approaches the CRPS as evenly spaced levels get dense.
    """
    return 2.0 * float(np.mean(pinball_loss(observed, quantiles, levels)))


def crps_by_origin(observed: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> FloatArray:
    """Return each origin's `crps_from_quantiles` (n,) of observed (n, H, M); NaN where none is known."""
    level, miss = _misses(observed, quantiles, levels)
    loss = np.maximum(level * miss, (level - 1.0) * miss).reshape(len(miss), -1)
    known = np.isfinite(loss)
    count, total = known.sum(axis=1), np.where(known, loss, 0.0).sum(axis=1)
    return np.where(count > 0, 2.0 * total / np.maximum(count, 1), np.nan)


def interval_coverage(observed: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> float:
    """Return the share of readings within [lower, upper]."""
    values = np.asarray(observed, dtype=np.float64)
    inside = (values >= np.asarray(lower)) & (values <= np.asarray(upper))
    return _mean(np.where(np.isfinite(values), inside.astype(np.float64), np.nan))


def calibration_error(observed: ArrayLike, quantiles: ArrayLike, levels: ArrayLike) -> float:
    """Return the mean absolute gap between each level and the share of readings at or below it."""
    level, miss = _misses(observed, quantiles, levels)
    below = _mean_by_level(np.where(np.isfinite(miss), (miss <= 0).astype(np.float64), np.nan))
    return float(np.mean(np.abs(below - level)))


def _residual(observed: ArrayLike, point: ArrayLike) -> FloatArray:
    values = np.asarray(observed, dtype=np.float64)
    forecast = np.asarray(point, dtype=np.float64)
    if values.shape != forecast.shape:
        raise ShapeError(f"observed {values.shape} and forecast {forecast.shape} differ in shape")
    _refuse_unknown(forecast[np.isfinite(values)])
    return values - forecast


def _misses(
    observed: ArrayLike, quantiles: ArrayLike, levels: ArrayLike
) -> tuple[FloatArray, FloatArray]:
    values = np.asarray(observed, dtype=np.float64)
    wanted = np.asarray(levels, dtype=np.float64)
    found = np.asarray(quantiles, dtype=np.float64)
    if found.shape != (*values.shape, *wanted.shape):
        raise ShapeError(
            f"quantiles have shape {found.shape}, wanted {(*values.shape, *wanted.shape)}: "
            "the observed shape, then one per level"
        )
    _refuse_unknown(found[np.isfinite(values)])
    return wanted, values[..., None] - found


def _refuse_unknown(forecast: FloatArray) -> None:
    """Raise DataError where forecasts of known targets are missing or infinite."""
    wrong = int(np.count_nonzero(~np.isfinite(forecast)))
    if wrong:
        raise DataError(
            f"{wrong} of {forecast.size} forecasts of known targets are NaN or infinite, wanted "
            "numbers: left out, they would flatter the model"
        )


def _mean(errors: FloatArray) -> float:
    known = np.isfinite(errors)
    return float(errors[known].mean()) if known.any() else float("nan")


def _mean_by_level(losses: FloatArray) -> FloatArray:
    flat = losses.reshape(-1, losses.shape[-1])
    known = np.isfinite(flat)
    count = known.sum(axis=0)
    total = np.where(known, flat, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
