"""Streams of random numbers: one for each thing that is drawn, so that no draw moves another."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for."""

    WEATHER = 0
    FAULTS = 1
    DESIGN = 2
    DRIVE = 3
    NOISE = 4
    EXPORT = 5


def draw_stream(seed: int, purpose: Purpose, number: int = 0) -> np.random.Generator:
    """Return the generator of one purpose, for asset `number` where each has its own."""
    return np.random.default_rng([seed, purpose, number])
