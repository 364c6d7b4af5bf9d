"""Estimators by scikit-learn's contract: fit, predict, forecast, score, explain, save and load."""

from __future__ import annotations

from sensorssm.estimators.baselines import EWMA, SeasonalNaive
from sensorssm.estimators.detector import SSMDetector
from sensorssm.estimators.forecaster import SSMForecaster

__all__ = ["EWMA", "SSMDetector", "SSMForecaster", "SeasonalNaive"]
