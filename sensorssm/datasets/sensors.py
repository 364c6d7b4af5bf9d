"""The transmitters of a skid, as the compiled loop takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.datasets.faults import Fault, sensor_faults
from sensorssm.datasets.tags import DECIMALS, LAG_S, NOISE, TAGS

FloatArray = NDArray[np.float64]


class Sensors(NamedTuple):
    """Transmitters: noise, offset (n, M) in tag units, frozen (n, M); gain, low, high, scale (M,).

    `gain` is the share of the distance covered per step; `scale` is 10 to the decimals kept.
    """

    noise: FloatArray
    offset: FloatArray
    frozen: NDArray[np.bool_]
    gain: FloatArray
    low: FloatArray
    high: FloatArray
    scale: FloatArray


def make_sensors(
    rng: np.random.Generator, faults: Sequence[Fault], time: NDArray[np.datetime64], step_s: float
) -> Sensors:
    """Return one asset's transmitters with their noise, lags and faults."""
    offset, frozen = sensor_faults(faults, time)
    return Sensors(
        noise=NOISE * rng.standard_normal((len(time), len(TAGS))),
        offset=offset,
        frozen=frozen,
        gain=1.0 - np.exp(-step_s / LAG_S),
        low=np.array([tag.low for tag in TAGS]),
        high=np.array([tag.high for tag in TAGS]),
        scale=np.power(10.0, DECIMALS, dtype=np.float64),
    )
