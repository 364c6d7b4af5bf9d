"""The O(1) stepper around a fitted estimator: readings in, results out, for one asset or many."""

from sensorssm.online.results import Result, Results
from sensorssm.online.stepper import Stepper

__all__ = ["Result", "Results", "Stepper"]
