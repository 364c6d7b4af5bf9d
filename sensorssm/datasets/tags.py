"""The tags of a pump skid: names, UCUM units, transmitter ranges and how each one is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True)
class Tag:
    """One measured signal; readings are clipped to the transmitter's range [low, high]."""

    name: str
    unit: str
    description: str
    low: float
    high: float


#: Columns of the readings. Plain integers, because the compiled loop reads them as constants.
LOAD: Final = 0
FLOW: Final = 1
LEVEL: Final = 2
VALVE: Final = 3
SUCTION: Final = 4
DISCHARGE: Final = 5
CURRENT: Final = 6
VIBRATION: Final = 7
PRODUCT_IN: Final = 8
PRODUCT_OUT: Final = 9
WATER_IN: Final = 10
WATER_OUT: Final = 11
WATER_VALVE: Final = 12
HUMIDITY: Final = 13

TAGS: Final = (
    Tag("load_setpoint", "m3/h", "production load set by the shift", 0.0, 80.0),
    Tag("flow", "m3/h", "product flow after the pump", 0.0, 80.0),
    Tag("tank_level", "%", "level of the feed tank, held by the product valve", 0.0, 100.0),
    Tag("valve_position", "%", "stem position of the product valve", 0.0, 100.0),
    Tag("suction_pressure", "bar", "gauge pressure at the pump inlet", -1.0, 2.0),
    Tag("discharge_pressure", "bar", "gauge pressure at the pump outlet", 0.0, 10.0),
    Tag("motor_current", "A", "pump motor current", 0.0, 30.0),
    Tag("vibration", "mm/s", "velocity (RMS) at the pump's drive-end bearing", 0.0, 25.0),
    Tag("product_in_temperature", "Cel", "hot product entering the cooler", 0.0, 100.0),
    Tag("product_out_temperature", "Cel", "product leaving the cooler, controlled", 0.0, 100.0),
    Tag("water_in_temperature", "Cel", "cooling water from the tower", 0.0, 60.0),
    Tag("water_out_temperature", "Cel", "cooling water returning to the tower", 0.0, 80.0),
    Tag("water_valve_position", "%", "stem position of the cooling water valve", 0.0, 100.0),
    Tag("ambient_humidity", "%", "relative humidity of the outside air", 0.0, 100.0),
)

TAG_INDEX: Final = {tag.name: column for column, tag in enumerate(TAGS)}

#: Standard deviation of the measurement noise, in tag units, in the order of `TAGS`.
NOISE: Final = np.array(
    [0.0, 0.12, 0.10, 0.08, 0.004, 0.010, 0.06, 0.04, 0.06, 0.06, 0.05, 0.08, 0.08, 0.5]
)

#: First-order lag of each transmitter in seconds; a thermowell takes most of a minute.
LAG_S: Final = np.array([1, 4, 6, 2, 2, 2, 3, 15, 40, 40, 40, 40, 2, 60], dtype=np.float64)

#: Decimals that survive the transmitter's converter and the historian.
DECIMALS: Final = np.array([1, 2, 2, 1, 3, 3, 2, 2, 2, 2, 2, 2, 1, 1], dtype=np.int64)
