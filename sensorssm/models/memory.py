"""The memory that is linear in its input: one state per tag, fixed complex poles, exact gaps.

A diagonal state space model whose parameters do not depend on the input (Algorithm 1 of the Mamba
paper) remembers a tag. The same recurrence runs on the observation weight (1 where a reading is
present, 0 where it is missing, in between where a spike is distrusted). Because the memory is linear
in its input, ``state(w x) - m state(w)`` is exactly the memory of ``w (x - m)``: centring by
*today's* level costs nothing, and a missing reading is left out rather than made up.
Elapsed time enters as ``pole ** elapsed``, so a dropped row and a missing one are the same thing:
a tag is always seen as it stood at its last reading, and how many steps it has been waiting since.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorssm.models.memory_fold import (
    LAST,
    LEVEL_SUM,
    LEVEL_WEIGHT,
    SLOT,
    SPREADS,
    STRANGE_RUN,
    WAITED,
    fold,
    look,
)
from sensorssm.models.memory_records import Features, Gate, MemoryState

__all__ = [
    "LEVEL_WEIGHT", "SLOT", "SPREADS", "STRANGE_RUN", "WAITED",
    "Features", "Gate", "Memory", "MemoryState",
]  # fmt: skip

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Memory:
    """Fixed poles and the sizes around them; holds no state.

    Parameters
    ----------
    tau : (N,) decay times in steps; the first `oscillating` poles turn, the others only decay
    frequency : (N,) turns per step, 0 for poles that only decay
    oscillating : number of poles that turn
    level_tau : decay time of the level, in steps
    spread_tau : (P,) decay times of the spreads, in steps, see `Features.spread`
    lags : raw readings kept as features, at least 1
    ring : slots kept of the past, at least `lags`; the longest season
    """

    tau: FloatArray
    frequency: FloatArray
    oscillating: int
    level_tau: float
    spread_tau: FloatArray
    lags: int
    ring: int

    @property
    def feature_count(self) -> int:
        """Return F, the features per tag."""
        return len(self.tau) + self.oscillating + self.lags

    @property
    def last_column(self) -> int:
        """Return the feature that holds the newest reading minus the level."""
        return len(self.tau) + self.oscillating

    def init_state(self, start: FloatArray) -> MemoryState:
        """Return the state before any reading; `start` (M,) is the level until one comes."""
        tags = len(start)
        slow = np.zeros((tags, SPREADS + 2 * len(self.spread_tau)))
        # A prior worth a billionth of a reading: it only matters while nothing was read.
        slow[:, LEVEL_WEIGHT] = 1e-9 / self.level_tau
        slow[:, LEVEL_SUM] = start * slow[:, LEVEL_WEIGHT]
        slow[:, LAST] = start
        slow[:, SLOT] = -1.0
        ring = np.zeros((2, tags, self.ring))
        ring[:] = start[:, None]
        return MemoryState(np.zeros((4, tags, len(self.tau))), slow, ring, np.array([-1.0, -1.0]))

    def run(
        self,
        values: FloatArray,
        elapsed: FloatArray,
        state: MemoryState,
        *,
        rows: IntArray | None = None,
        gate: Gate | None = None,
    ) -> tuple[Features, MemoryState]:
        """Read `values` in order and return the features after the chosen rows, and the new state.

        A whole series, a chunk and a single reading go through the same compiled loop, so that
        the results do not depend on the cuts.

        Parameters
        ----------
        values : (n, M), NaN where missing
        elapsed : (n,) positive, steps since the row before
        rows : increasing row numbers to give features for; by default all
        """
        rows = np.arange(len(values)) if rows is None else rows
        state = state.copy()
        features = self.advance(values, elapsed, state, rows=rows, gate=gate)
        return features, state

    def advance(
        self,
        values: FloatArray,
        elapsed: FloatArray,
        state: MemoryState,
        *,
        rows: IntArray,
        gate: Gate | None = None,
    ) -> Features:
        """Do what `run` does, in the caller's own `state`, which is overwritten."""
        features = self._room(len(rows), values.shape[1])
        self._fold(values, elapsed, state, rows, gate, features, np.empty((0, 0)))
        return features

    def trust(
        self, values: FloatArray, elapsed: FloatArray, state: MemoryState, gate: Gate
    ) -> FloatArray:
        """Return the weight (n, M) that each reading gets by `gate`, 0 where missing."""
        weights = np.empty(values.shape)
        nothing = self._room(0, values.shape[1])
        no_rows = np.zeros(0, dtype=np.int64)
        self._fold(values, elapsed, state.copy(), no_rows, gate, nothing, weights)
        return weights

    def reread(
        self, values: FloatArray, elapsed: FloatArray, state: MemoryState, trust: FloatArray
    ) -> Features:
        """Return the features after the last row, where each reading gets the weight `trust` (n, M).

        With the weights given, all features but the spreads are linear in readings and state.
        """
        features = self._room(1, values.shape[1])
        given = Gate(np.zeros((values.shape[1], 0)), -1.0)
        last = np.array([len(values) - 1])
        self._fold(values, elapsed, state.copy(), last, given, features, trust.copy())
        return features

    def _fold(
        self,
        values: FloatArray,
        elapsed: FloatArray,
        state: MemoryState,
        rows: IntArray,
        gate: Gate | None,
        features: Features,
        trust: FloatArray,
    ) -> None:
        gate = Gate(np.zeros((values.shape[1], 0)), 0.0) if gate is None else gate
        fold(
            values,
            elapsed,
            rows,
            self.tau,
            self.frequency,
            self.oscillating,
            self.level_tau,
            self.spread_tau,
            self.lags,
            *gate,
            *state,
            *features,
            trust,
        )

    def look(self, state: MemoryState) -> Features:
        """Return the features of one state, as k = 1 row; the state is left alone."""
        features = self._room(1, len(state.slow))
        look(0, self.oscillating, self.lags, *state, *features)
        return features

    def _room(self, rows: int, tags: int) -> Features:
        return Features(
            np.empty((tags, rows, self.feature_count)),
            np.empty((rows, tags)),
            np.empty((rows, tags, len(self.spread_tau))),
            np.empty((rows, tags, self.ring)),
            np.empty(rows),
            np.empty((rows, tags)),
        )
