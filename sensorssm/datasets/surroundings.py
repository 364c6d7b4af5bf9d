"""What happens to a skid from outside: weather, production load, feed and back pressure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensorssm.datasets.design import Design

FloatArray = NDArray[np.float64]
TimeArray = NDArray[np.datetime64]

_HOUR_S = 3600.0
_DAY_S = 86400.0


class Weather(NamedTuple):
    """Outside air per row, shape (n,): degrees Celsius, % and the tower's wet bulb in Celsius."""

    temperature: FloatArray
    humidity: FloatArray
    wet_bulb: FloatArray


class Drive(NamedTuple):
    """What drives one skid per row, each of shape (n,)."""

    load: FloatArray  # set-point, m3/h
    feed_share: FloatArray  # what upstream really sends, as a share of the set-point
    feed_temperature: FloatArray  # Cel
    back_pressure: FloatArray  # bar, gauge, behind the cooler
    water_in: FloatArray  # Cel, from the cooling tower
    humidity: FloatArray  # %
    shake: FloatArray  # standard normal: roughness of the bearing's vibration
    surge: FloatArray  # standard normal: roughness of the motor current under cavitation


@njit(cache=True)
def _first_order(drive: FloatArray, decay: float, start: float) -> FloatArray:
    out = np.empty_like(drive)
    state = start
    for row in range(drive.shape[0]):
        state = decay * state + drive[row]
        out[row] = state
    return out


def _wander(rng: np.random.Generator, rows: int, period_s: float, memory_s: float) -> FloatArray:
    """Return an Ornstein-Uhlenbeck process of unit variance, exact at any period."""
    decay = float(np.exp(-period_s / memory_s))
    shocks = np.sqrt(1.0 - decay**2) * rng.standard_normal(rows)
    return _first_order(shocks, decay, float(rng.standard_normal()))


def _seconds_since(time: TimeArray, origin: TimeArray | np.datetime64) -> FloatArray:
    return np.asarray(time - origin, dtype="timedelta64[ns]").astype(np.float64) / 1e9


def _saturation_mbar(celsius: FloatArray) -> FloatArray:
    """Return the saturation pressure of water vapour; Magnus, WMO-No. 8, annex 4.B."""
    return 6.112 * np.exp(17.62 * celsius / (243.12 + celsius))


def _wet_bulb(celsius: FloatArray, humidity: FloatArray) -> FloatArray:
    """Return the wet-bulb temperature; Stull 2011, doi:10.1175/JAMC-D-11-0143.1, equation (1)."""
    return (
        celsius * np.arctan(0.151977 * np.sqrt(humidity + 8.313659))
        + np.arctan(celsius + humidity)
        - np.arctan(humidity - 1.676331)
        + 0.00391838 * humidity**1.5 * np.arctan(0.023101 * humidity)
        - 4.686035
    )


def make_weather(rng: np.random.Generator, time: TimeArray, period_s: float) -> Weather:
    """Return a mild coastal climate: seasons, a day cycle, and fronts that last for days.

    Humidity follows from temperature and dew point, so it falls in the afternoon by itself.
    """
    rows = len(time)
    hour = _seconds_since(time, time.astype("datetime64[D]")) / _HOUR_S
    day = _seconds_since(time, time.astype("datetime64[Y]")) / _DAY_S
    season = 15.0 - 4.0 * np.cos(2 * np.pi * (day - 20.0) / 365.25)
    # Fronts are bounded, as weather is: a few weeks show most of what a season can do.
    front = 4.0 * np.tanh(0.8 * _wander(rng, rows, period_s, 1.2 * _DAY_S))
    clear_sky = np.exp(0.3 * _wander(rng, rows, period_s, 1.5 * _DAY_S))  # 1 is an average day
    breeze = 0.4 * _wander(rng, rows, period_s, 1.0 * _HOUR_S)
    cycle = 3.0 * clear_sky * np.cos(2 * np.pi * (hour - 15.0) / 24.0)
    temperature = season + front + cycle + breeze
    dryness = 5.5 * clear_sky + 1.2 * _wander(rng, rows, period_s, _DAY_S)
    dew_point = season + front - dryness
    humidity = 100.0 * _saturation_mbar(dew_point) / _saturation_mbar(temperature)
    humidity = np.clip(humidity, 10.0, 98.0)
    return Weather(temperature, humidity, _wet_bulb(temperature, humidity))


def _shift_share(rng: np.random.Generator, time: TimeArray) -> FloatArray:
    """Return the share of full load that the shift on duty runs, shape (n,).

    Three shifts from 06:00, less at night, turned down at weekends. A crew moves the set-point
    up to 40 minutes after it takes over, and never to quite the same place.
    """
    since = _seconds_since(time, time[0].astype("datetime64[D]") - np.timedelta64(18, "h"))
    shifts = int(since[-1] // (8 * _HOUR_S)) + 2
    late_s = rng.uniform(0.0, 2400.0, shifts)
    trim = 0.012 * rng.standard_normal(shifts)
    shift = (since // (8 * _HOUR_S)).astype(np.int64)
    shift -= since - shift * 8 * _HOUR_S < late_s[shift]  # the crew before is still at it
    shift = np.maximum(shift, 0)
    first_day = time[0].astype("datetime64[D]").astype(np.int64) - 1
    weekday = (first_day + np.arange(shifts) // 3 + 3) % 7  # 1970-01-01 was a Thursday
    share = np.tile((1.0, 0.92, 0.80), shifts // 3 + 1)[:shifts]
    share = np.where(weekday >= 5, 0.68, share) + trim
    return share[shift]


def _campaign_share(rng: np.random.Generator, time: TimeArray, period_s: float) -> FloatArray:
    """Return a semi-Markov schedule of product campaigns: held for hours, then another level."""
    levels = np.array([0.86, 0.93, 1.0, 1.06])
    span_s, now_s, level = len(time) * period_s, 0.0, int(rng.integers(len(levels)))
    changes, held = [0.0], [level]
    while (now_s := now_s + rng.gamma(2.5, 18.0 / 2.5) * _HOUR_S) < span_s:
        level = (level + int(rng.integers(1, len(levels)))) % len(levels)
        changes.append(now_s)
        held.append(level)
    row = np.searchsorted(changes, np.arange(len(time)) * period_s, side="right") - 1
    return levels[np.array(held)[row]]


def make_drive(
    rng: np.random.Generator, time: TimeArray, period_s: float, weather: Weather, design: Design
) -> Drive:
    """Return what drives one skid: its own production and feed, the site's weather."""
    rows = len(time)
    share = _shift_share(rng, time) * _campaign_share(rng, time, period_s)
    decay = float(np.exp(-period_s / (2.0 * _HOUR_S)))  # the basin below the tower is slow
    # Below 9 Cel the tower's fans slow down to keep the basin from freezing.
    tower = 9.0 + 2.0 * np.logaddexp(0.0, (weather.wet_bulb + design.approach - 9.0) / 2.0)
    return Drive(
        load=np.round(design.full_load * share, 1),
        feed_share=1.0 + 0.012 * _wander(rng, rows, period_s, 1500.0),
        feed_temperature=design.feed_temperature + 1.3 * _wander(rng, rows, period_s, 5 * _HOUR_S),
        back_pressure=design.back_pressure + 0.05 * _wander(rng, rows, period_s, 3 * _HOUR_S),
        water_in=_first_order((1.0 - decay) * tower, decay, float(tower[0])),
        humidity=weather.humidity,
        shake=rng.standard_normal(rows),
        surge=rng.standard_normal(rows),
    )
