"""The transmitters of a skid, as the compiled loop takes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
