"""What the memory takes and gives: its state, its features, and the gate on its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class MemoryState(NamedTuple):
    """What is remembered of one asset; `Memory.run` returns a new one and leaves this alone.

    Attributes
    ----------
    poles : (4, M, N) real and imaginary parts of the memory of readings, then of the weights
    slow : (M, 6 + 2 P) the level's sum and weight, the last reading, how many distrusted readings
        came in a row, the steps since the last reading, the slot it fell in, then each spread's sum
        and weight
    ring : (2, M, R) the R grid slots up to each tag's last reading; a slot that was not read holds
        the reading of R slots before in the first plane, and the reading before it in the second
    clock : (2,) position in steps since the start, and the slot it falls in
    """

    poles: FloatArray
    slow: FloatArray
    ring: FloatArray
    clock: FloatArray

    def copy(self) -> MemoryState:
        """Return a state that shares nothing with this one."""
        return MemoryState(*(part.copy() for part in self))


class Features(NamedTuple):
    """What a readout sees of k rows, each made of that row and the rows before it.

    All but `slot` and `waited` are those of the row in which the tag was last read.

    Attributes
    ----------
    z : (M, k, F) memory of the readings minus the level, in the tag's unit; the last `lags`
        columns are raw readings, newest first
    level : (k, M) slow weighted mean
    spread : (k, M, P) weighted mean sizes: of the one-step change (0 before any), then of the
        distance from the level, from fast to slow
    recent : (k, M, R) the ring unrolled, oldest first
    slot : (k,) the row's place on the grid
    waited : (k, M) whole steps from each tag's last reading to the row
    """

    z: FloatArray
    level: FloatArray
    spread: FloatArray
    recent: FloatArray
    slot: FloatArray
    waited: FloatArray

    @property
    def last(self) -> FloatArray:
        """Return each tag's last reading (k, M)."""
        return self.recent[:, :, -1].copy()

    def at(self, rows: IntArray | slice) -> Features:
        """Return the features of some of the rows."""
        return Features(self.z[:, rows], *(part[rows] for part in self[1:]))

    @staticmethod
    def joined(parts: Sequence[Features]) -> Features:
        """Return the features of all parts' rows, in their order."""
        z = np.concatenate([part.z for part in parts], axis=1)
        rest = list(zip(*parts, strict=True))[1:]
        return Features(z, *(np.concatenate(column) for column in rest))


class Gate(NamedTuple):
    """A soft input gate: a reading further than `width` spreads from its one-step forecast counts
    less (1 / z**2), for at most `patience` readings in a row, so that real shifts get in.

    `weights` (M, F) is the one-step readout whose forecast is compared.
    """

    weights: FloatArray
    width: float
    patience: int = 3
