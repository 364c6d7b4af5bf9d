"""The O(1) stepper around a fitted estimator: one reading in, one result out."""

from sensorssm.online.stepper import Result, Stepper

__all__ = ["Result", "Stepper"]
