"""Numbers that judge forecasts and alarms, and the rolling-origin backtest that collects them."""

from sensorssm.evaluation.backtest import backtest, rolling_origins
from sensorssm.evaluation.diebold_mariano import DieboldMariano, diebold_mariano
from sensorssm.evaluation.forecast import (
    calibration_error,
    crps_by_origin,
    crps_from_quantiles,
    interval_coverage,
    mean_absolute_error,
    mean_absolute_scaled_error,
    mean_squared_error,
    naive_scale,
    pinball_loss,
    weighted_quantile_loss,
)

__all__ = [
    "DieboldMariano",
    "backtest",
    "calibration_error",
    "crps_by_origin",
    "crps_from_quantiles",
    "diebold_mariano",
    "interval_coverage",
    "mean_absolute_error",
    "mean_absolute_scaled_error",
    "mean_squared_error",
    "naive_scale",
    "pinball_loss",
    "rolling_origins",
    "weighted_quantile_loss",
]
