"""Estimators by scikit-learn's contract: fit, predict, forecast, score, explain, save and load."""

from __future__ import annotations

from sensorssm.estimators.baselines import EWMA, SeasonalNaive
from sensorssm.estimators.detector import SSMDetector
from sensorssm.estimators.dlinear import DLinear
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.estimators.neural import NeuralForecaster

__all__ = ["EWMA", "DLinear", "NeuralForecaster", "SSMDetector", "SSMForecaster", "SeasonalNaive"]
