"""Plant sensor readings in, calibrated forecasts and trustworthy alarms out.

The public names are imported on first use, so that ``import sensorssm`` and the command line
answer at once and run where torch, Polars or Streamlit are not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "SSMForecaster": "sensorssm.estimators",
    "SSMDetector": "sensorssm.estimators",
    "SeasonalNaive": "sensorssm.estimators",
    "EWMA": "sensorssm.estimators",
    "DLinear": "sensorssm.estimators",
    "NeuralForecaster": "sensorssm.estimators",
    "Stepper": "sensorssm.online",
    "simulate_plant": "sensorssm.datasets",
    "SensorSSMError": "sensorssm.errors",
}

__all__ = [
    "EWMA",
    "DLinear",
    "NeuralForecaster",
    "SSMDetector",
    "SSMForecaster",
    "SeasonalNaive",
    "SensorSSMError",
    "Stepper",
    "__version__",
    "simulate_plant",
]

if TYPE_CHECKING:
    from sensorssm.datasets import simulate_plant as simulate_plant
    from sensorssm.errors import SensorSSMError as SensorSSMError
    from sensorssm.estimators import EWMA as EWMA
    from sensorssm.estimators import DLinear as DLinear
    from sensorssm.estimators import NeuralForecaster as NeuralForecaster
    from sensorssm.estimators import SeasonalNaive as SeasonalNaive
    from sensorssm.estimators import SSMDetector as SSMDetector
    from sensorssm.estimators import SSMForecaster as SSMForecaster
    from sensorssm.online import Stepper as Stepper


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sensorssm' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
