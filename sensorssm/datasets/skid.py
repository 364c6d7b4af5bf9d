"""One pump skid in one compiled loop: tank, pump, valve, cooler, controllers, transmitters.

::

    feed -> [tank] -> (pump) -> flow -> |valve| -> [cooler] -> consumer
              level controls the valve        cooling water controls the product

The pump's speed follows the load, the product valve holds the tank's level, so the flow follows
the load through the tank's mass balance. Equipment faults change the equations, sensor faults
change what transmitters show: to the historian and to the controllers alike.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.datasets import tags
from sensorssm.datasets.design import Design
from sensorssm.datasets.equipment import (
    BAR_PER_METRE,
    KW_PER_K,
    cavitating,
    control,
    heat_duty,
    motor_current,
    pump_efficiency,
    slip,
    valve_size,
)
from sensorssm.datasets.faults import Wear
from sensorssm.datasets.sensors import Sensors
from sensorssm.datasets.surroundings import Drive

FloatArray = NDArray[np.float64]

#: What a fault of severity 1 does to the equipment.
LEAK = 4.0  # m3/h out of the tank's drain
FOULING = 0.006  # K/kW on the cooler's wall
BLOCKAGE = 12.0  # times the suction's clean pressure drop
HEAD_LOSS = 0.15  # share of the head that full cavitation takes
BEARING_VIBRATION = 1.6  # mm/s
BEARING_POWER = 0.22  # kW
STICTION = 5.0  # %

_WARMUP_S = 12 * 3600.0


class State(NamedTuple):
    """What the skid remembers from one step to the next."""

    volume: float  # m3 in the tank
    tank_temperature: float  # Cel
    feed: float  # m3/h
    speed: float  # share of full speed
    stem: float  # %, product valve
    level_integral: float  # %
    product_integral: float  # %
    product_out: float  # Cel
    water_out: float  # Cel
    cavitation: float  # 0 to 1


@njit(cache=True)
def _flow(design, speed, level_m, stem, back_pressure, blockage, head_share):
    """Return flow, suction and discharge pressure: every loss is quadratic in the flow."""
    lift = BAR_PER_METRE * head_share * design.shutoff_head * speed * speed
    static = BAR_PER_METRE * (level_m + design.suction_height)
    suction_drop = design.suction_drop * (1.0 + BLOCKAGE * blockage)
    pump_drop = BAR_PER_METRE * head_share * design.head_slope
    size = valve_size(stem, design.valve_size, design.valve_range)
    resistance = suction_drop + pump_drop + design.pipe_drop + 1.0 / (size * size)
    flow = sqrt(max(static + lift - back_pressure, 0.0) / resistance)
    suction = static - suction_drop * flow * flow
    return flow, suction, suction + lift - pump_drop * flow * flow


@njit(cache=True)
def _cool(design, flow, water, hot_in, cold_in, fouling):
    """Return the settled outlet temperatures of product and water."""
    flow, water = max(flow, 0.5), max(water, 0.5)  # still liquid keeps some exchange
    conductance = 1.0 / (
        1.0 / (design.product_film * (flow / 40.0) ** 0.8)
        + 1.0 / (design.water_film * (water / 40.0) ** 0.8)
        + FOULING * fouling
    )
    duty = heat_duty(flow, water, conductance, hot_in, cold_in)
    return hot_in - duty / (KW_PER_K * flow), cold_in + duty / (KW_PER_K * water)


@njit(cache=True)
def _turn(design, flow, speed, lift, cavitation, bearing, shake, surge):
    """Return motor current in A and vibration in mm/s; `shake` and `surge` roughen them."""
    efficiency = pump_efficiency(flow, speed, design.best_flow, design.best_efficiency)
    power = lift * flow / 36.0 / efficiency  # bar times m3/h is 1/36 kW
    power += design.idle_power * speed**3 + BEARING_POWER * bearing
    current = motor_current(power, speed, design.idle_current, design.amps_per_kw)
    away = flow / (design.best_flow * max(speed, 0.1)) - 1.0
    clean = design.vibration * (1.0 + 1.5 * away * away) + BEARING_VIBRATION * bearing
    vibration = (1.0 + 0.04 * shake) * speed * speed * clean
    vibration += cavitation * max(2.0 + 0.7 * shake, 0.0)
    return current * (1.0 + 0.03 * cavitation * surge), vibration


@njit(cache=True)
def _advance(design, drive, wear, row, state, level_shown, product_shown, step_s, true, ledger):
    """Return the state one step later; write true signals (M,) and add volumes to `ledger`."""
    speed_wanted = 0.72 + 0.28 * min(drive.load[row] / design.full_load, 1.15)
    speed = state.speed + (speed_wanted - state.speed) * min(step_s / 60.0, 1.0)
    feed_wanted = drive.load[row] * drive.feed_share[row]
    feed = state.feed + (feed_wanted - state.feed) * min(step_s / 600.0, 1.0)

    level_error = level_shown - design.level_setpoint
    demand, level_integral = control(
        level_error, state.level_integral, design.level_gain, design.level_reset_s, step_s
    )
    stem = slip(state.stem, demand, design.valve_friction + STICTION * wear.stiction[row])

    level = state.volume / design.tank_volume
    head_share = 1.0 - HEAD_LOSS * state.cavitation
    flow, suction, discharge = _flow(
        design, speed, level * design.tank_height, stem, drive.back_pressure[row],
        wear.cavitation[row], head_share,
    )  # fmt: skip
    flow = min(flow, state.volume * 3600.0 / step_s)  # an empty tank gives nothing
    leak = LEAK * wear.leak[row] * sqrt(max(level, 0.0) / 0.55)
    leak = min(leak, state.volume * 3600.0 / step_s - flow)
    hours = step_s / 3600.0
    volume = state.volume + hours * (feed - flow - leak)
    spilled = max(volume - design.tank_volume, 0.0)
    volume -= spilled
    mixed = min(hours * feed / max(volume, 0.1), 1.0)
    tank_temperature = state.tank_temperature + mixed * (
        drive.feed_temperature[row] - state.tank_temperature
    )

    product_error = product_shown - design.product_setpoint
    water_stem, product_integral = control(
        product_error, state.product_integral, design.product_gain, design.product_reset_s, step_s
    )
    water = valve_size(water_stem, design.water_size, design.valve_range)
    product_settled, water_settled = _cool(
        design, flow, water, tank_temperature, drive.water_in[row], wear.fouling[row]
    )
    follow = min(step_s / design.cooler_lag_s, 1.0)
    product_out = state.product_out + follow * (product_settled - state.product_out)
    water_out = state.water_out + follow * (water_settled - state.water_out)

    cavitation = cavitating(suction, tank_temperature, flow, design.npsh_base, design.npsh_slope)
    current, vibration = _turn(
        design, flow, speed, discharge - suction, cavitation, wear.bearing[row],
        drive.shake[row], drive.surge[row],
    )  # fmt: skip

    true[tags.LOAD] = drive.load[row]
    true[tags.FLOW] = flow
    true[tags.LEVEL] = 100.0 * volume / design.tank_volume
    true[tags.VALVE] = stem
    true[tags.SUCTION] = suction
    true[tags.DISCHARGE] = discharge
    true[tags.CURRENT] = current
    true[tags.VIBRATION] = vibration
    true[tags.PRODUCT_IN] = tank_temperature
    true[tags.PRODUCT_OUT] = product_out
    true[tags.WATER_IN] = drive.water_in[row]
    true[tags.WATER_OUT] = water_out
    true[tags.WATER_VALVE] = water_stem
    true[tags.HUMIDITY] = drive.humidity[row]
    ledger[0] += hours * feed
    ledger[1] += hours * flow
    ledger[2] += hours * leak + spilled
    ledger[3] = volume
    return State(
        volume, tank_temperature, feed, speed, stem, level_integral, product_integral,
        product_out, water_out, cavitation,
    )  # fmt: skip


@njit(cache=True)
def run_skid(
    design: Design, drive: Drive, wear: Wear, sensors: Sensors, step_s: float, steps: int
) -> tuple[FloatArray, FloatArray]:
    """Return readings (n, M) in tag units and the tank's ledger (n, 4) in m3.

    Each row is the instant after `steps` steps of `step_s` seconds. The ledger holds what was fed,
    pumped and lost during the row, and the volume at its end. The first twelve hours, on the
    first row's conditions, are not recorded: the controllers settle in them.
    """
    rows, width = sensors.noise.shape
    readings, ledger = np.empty((rows, width)), np.zeros((rows, 4))
    volume = design.tank_volume * design.level_setpoint / 100.0
    state = State(
        volume, drive.feed_temperature[0], drive.load[0], 0.9, 55.0, 55.0, 55.0,
        design.product_setpoint, 30.0, 0.0,
    )  # fmt: skip
    true, sensed, shown = np.zeros(width), np.zeros(width), np.zeros(width)
    shown[tags.LEVEL], shown[tags.PRODUCT_OUT] = design.level_setpoint, design.product_setpoint
    for _ in range(int(_WARMUP_S / step_s)):
        state = _advance(
            design, drive, wear, 0, state, shown[tags.LEVEL], shown[tags.PRODUCT_OUT], step_s,
            true, ledger[0],
        )  # fmt: skip
        sensed[:] = true
        shown[:] = true
    ledger[0] = 0.0
    for row in range(rows):
        for _ in range(steps):
            state = _advance(
                design, drive, wear, row, state, shown[tags.LEVEL], shown[tags.PRODUCT_OUT],
                step_s, true, ledger[row],
            )  # fmt: skip
            for tag in range(width):
                sensed[tag] += sensors.gain[tag] * (true[tag] - sensed[tag])
                if not sensors.frozen[row, tag]:
                    shown[tag] = sensed[tag] + sensors.offset[row, tag]
        for tag in range(width):
            if row > 0 and sensors.frozen[row, tag]:
                readings[row, tag] = readings[row - 1, tag]
                continue
            value = shown[tag] + sensors.noise[row, tag]
            value = min(max(value, sensors.low[tag]), sensors.high[tag])
            readings[row, tag] = np.round(value * sensors.scale[tag]) / sensors.scale[tag]
    return readings, ledger
