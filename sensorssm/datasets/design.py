"""The design of a skid: every constant of its equipment, drawn once per asset."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Design(NamedTuple):
    """Constants of one skid. The defaults are a 40 m3/h water-like product; see `draw_design`."""

    full_load: float = 42.0  # m3/h
    feed_temperature: float = 62.0  # Cel
    back_pressure: float = 1.0  # bar, gauge
    approach: float = 5.0  # K between the tower's water and the wet bulb
    # Feed tank and its level controller
    tank_volume: float = 32.0  # m3
    tank_height: float = 4.0  # m
    level_setpoint: float = 55.0  # %
    level_gain: float = 2.0  # % valve per % level
    level_reset_s: float = 4800.0
    # Pump and motor
    shutoff_head: float = 48.0  # m at full speed
    head_slope: float = 0.0052  # m per (m3/h)^2
    best_flow: float = 44.0  # m3/h at full speed
    best_efficiency: float = 0.72
    npsh_base: float = 2.0  # m
    npsh_slope: float = 0.0008  # m per (m3/h)^2
    suction_drop: float = 4.0e-5  # bar per (m3/h)^2, strainer and pipe
    suction_height: float = 2.5  # m from the pump up to the tank's bottom
    idle_power: float = 0.45  # kW in bearings and seal at full speed
    idle_current: float = 4.2  # A, magnetising
    amps_per_kw: float = 1.8  # 400 V, three phases, power factor times efficiency 0.8
    vibration: float = 1.7  # mm/s at the best point
    # Product valve and pipe
    valve_size: float = 98.0  # m3/h per sqrt(bar), open
    valve_range: float = 30.0  # equal percentage: size open over size almost shut
    valve_friction: float = 0.2  # %, a healthy packing
    pipe_drop: float = 5.0e-4  # bar per (m3/h)^2, cooler and pipe
    # Cooler and its temperature controller
    product_film: float = 105.0  # kW/K at 40 m3/h
    water_film: float = 105.0  # kW/K at 40 m3/h
    water_size: float = 150.0  # m3/h with the water valve open
    cooler_lag_s: float = 90.0
    product_setpoint: float = 38.0  # Cel
    product_gain: float = 2.0  # % valve per K
    product_reset_s: float = 180.0


#: Relative spread from one skid to the next; whatever is not named is alike on all.
_SPREAD = {
    "full_load": 0.05, "feed_temperature": 0.02, "back_pressure": 0.06, "approach": 0.08,
    "tank_volume": 0.06, "shutoff_head": 0.025, "head_slope": 0.05, "best_flow": 0.03,
    "best_efficiency": 0.02, "suction_drop": 0.10, "idle_power": 0.10, "idle_current": 0.05,
    "vibration": 0.15, "valve_size": 0.06, "pipe_drop": 0.08, "product_film": 0.06,
    "water_film": 0.06, "water_size": 0.06, "product_setpoint": 0.02,
}  # fmt: skip


def draw_design(rng: np.random.Generator) -> Design:
    """Return a skid of its own: makers, wear and pipe runs differ by a few per cent."""
    nominal = Design()
    drawn = {
        name: getattr(nominal, name) * float(np.exp(spread * rng.uniform(-1.5, 1.5)))
        for name, spread in _SPREAD.items()
    }
    return nominal._replace(**drawn)
