"""Compiled laws of the equipment: pump, valve, motor, cooler, controller. Scalars in and out.

Numba's cache watches the caller's file alone: after a change here, touch `skid.py` too.
"""

from __future__ import annotations

from math import exp, sqrt

from numba import njit

#: Hot water near 60 Cel: bar per metre of head, and kW/K carried by one m3/h.
BAR_PER_METRE = 0.0966
KW_PER_K = 1.144
ATMOSPHERE = 1.013  # bar


@njit(cache=True)
def vapour_pressure(celsius: float) -> float:
    """Return the vapour pressure of water in bar; Antoine, 1 to 100 Cel."""
    return 0.00133322 * 10.0 ** (8.07131 - 1730.63 / (233.426 + celsius))


@njit(cache=True)
def valve_size(stem: float, size: float, turndown: float) -> float:
    """Return the size of an equal-percentage valve at `stem` %; shut below 1 %."""
    return size * turndown ** (stem / 100.0 - 1.0) if stem > 1.0 else 1e-3


@njit(cache=True)
def pump_efficiency(flow: float, speed: float, best_flow: float, best: float) -> float:
    """Return the hydraulic efficiency; affinity laws move the best point with the speed."""
    away = flow / (best_flow * max(speed, 0.1)) - 1.0
    return max(best * (1.0 - away * away), 0.1)


@njit(cache=True)
def cavitating(suction: float, celsius: float, flow: float, base: float, slope: float) -> float:
    """Return how far the pump cavitates, 0 to 1, from available minus required NPSH (m)."""
    available = (suction + ATMOSPHERE - vapour_pressure(celsius)) / BAR_PER_METRE
    margin = available - (base + slope * flow * flow)
    return 1.0 / (1.0 + exp(min((margin - 1.0) / 0.35, 60.0)))


@njit(cache=True)
def motor_current(kilowatt: float, speed: float, idle: float, amps_per_kw: float) -> float:
    """Return the current in A: magnetising and working parts stand at a right angle."""
    return sqrt((idle * speed) ** 2 + (amps_per_kw * kilowatt) ** 2)


@njit(cache=True)
def heat_duty(
    product: float, water: float, conductance: float, hot_in: float, cold_in: float
) -> float:
    """Return the heat passed in a counterflow cooler, kW, by effectiveness and NTU.

    Flows in m3/h, conductance UA in kW/K, temperatures in Cel. Incropera, table 11.4.
    """
    small, large = KW_PER_K * min(product, water), KW_PER_K * max(product, water)
    ratio, ntu = small / large, conductance / small
    if ratio > 0.9999:
        effectiveness = ntu / (1.0 + ntu)
    else:
        fade = exp(-ntu * (1.0 - ratio))
        effectiveness = (1.0 - fade) / (1.0 - ratio * fade)
    return effectiveness * small * (hot_in - cold_in)


@njit(cache=True)
def control(
    error: float, integral: float, gain: float, reset_s: float, step_s: float
) -> tuple[float, float]:
    """Return a PI controller's output in % and its new integral; the integral stops at a limit."""
    integral = min(max(integral + gain * error * step_s / reset_s, 0.0), 100.0)
    return min(max(gain * error + integral, 0.0), 100.0), integral


@njit(cache=True)
def slip(stem: float, demand: float, friction: float) -> float:
    """Return the stem of a valve that sticks until the demand is `friction` % away, then jumps.

    Stenman, Gustafsson and Forsman 2003, doi:10.1002/acs.766: one parameter.
    """
    return demand if abs(demand - stem) > friction else stem
