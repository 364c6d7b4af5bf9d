"""One site: the sky and the seed that all skids share, and how one of them is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sensorssm.datasets.design import draw_design
from sensorssm.datasets.faults import Fault, equipment_wear
from sensorssm.datasets.sensors import make_sensors
from sensorssm.datasets.skid import run_skid
from sensorssm.datasets.streams import Purpose, draw_stream
from sensorssm.datasets.surroundings import Weather, make_drive, make_weather

FloatArray = NDArray[np.float64]

#: Longest integration step; the valve, the speed and the cooler need it short.
_STEP_S = 10.0


@dataclass(frozen=True)
class Site:
    """A seed, a grid and the list of faults: all it takes to run a skid."""

    seed: int
    time: NDArray[np.datetime64]
    period_s: float
    faults: tuple[Fault, ...]

    @cached_property
    def weather(self) -> Weather:
        """The weather over every skid."""
        rng = draw_stream(self.seed, Purpose.WEATHER)
        return make_weather(rng, self.time, self.period_s)

    def run(self, number: int, name: str) -> tuple[FloatArray, FloatArray]:
        """Return the readings (n, M) of skid `number` and its tank's ledger (n, 4)."""
        steps = math.ceil(self.period_s / _STEP_S)
        step_s = self.period_s / steps
        own = [fault for fault in self.faults if fault.asset == name]
        design = draw_design(draw_stream(self.seed, Purpose.DESIGN, number))
        rng = draw_stream(self.seed, Purpose.DRIVE, number)
        drive = make_drive(rng, self.time, self.period_s, self.weather, design)
        rng = draw_stream(self.seed, Purpose.NOISE, number)
        sensors = make_sensors(rng, own, self.time, step_s)
        return run_skid(design, drive, equipment_wear(own, self.time), sensors, step_s, steps)
