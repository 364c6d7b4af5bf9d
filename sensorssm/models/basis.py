"""Curves over the horizon that forecasts and corrections are sums of; needs no torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def horizon_basis(horizon: int, size: int) -> NDArray[np.float32]:
    """Return `size` smooth curves over the horizon, shape (K, H), K = min(size, horizon).

    Cosines over the steps, which bend evenly, in turn with cosines over their logarithm, which bend
    where forecasts change most, soon after the origin; made orthogonal, with a mean square of 1.
    """
    size = min(size, horizon)
    step = np.arange(1, horizon + 1)
    even, early = (step - 0.5) / horizon, np.log(step) / math.log(max(horizon, 2))
    order = np.arange(horizon)[:, None]
    curves = np.stack([np.cos(np.pi * order * even), np.cos(np.pi * (order + 1) * early)], axis=1)
    basis, upper = np.linalg.qr(curves.reshape(-1, horizon)[:size].T)
    sign = np.sign(np.diagonal(upper))  # LAPACK leaves it open; a saved model must not
    return (basis * sign * math.sqrt(horizon)).T.astype(np.float32)
