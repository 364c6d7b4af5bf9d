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

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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

__all__ = ["LEVEL_WEIGHT", "SLOT", "SPREADS", "STRANGE_RUN", "WAITED"]

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

    def at(self, rows: IntArray) -> Features:
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


def plan_memory(seasons: tuple[int, ...], rows: int, lags: int) -> Memory:
    """Return the memory for `seasons` (steps, shortest first; may be empty) and `rows` to learn from.

    Poles sit at the first season's harmonics, at decay times from a tenth of it to 28 of it, and at
    the first harmonics of each longer season. Without a season they sit at octaves. Few rows get
    few poles: no decay longer than a third of the rows, one pole for every 20 rows.
    """
    poles = _seasonal_poles(seasons) if seasons else _octave_poles(rows)
    poles = [(tau, turns) for tau, turns in poles if tau <= max(rows / 3, 2.0)]
    poles = poles[: max(4, rows // 20)]
    poles.sort(key=lambda pole: pole[1] == 0.0)  # the turning ones first
    tau, frequency = (np.array(column) for column in zip(*poles, strict=True))
    span = seasons[0] if seasons else np.clip(rows / 280, 8.0, 100.0)
    slowest = max(rows / 4, 4.0)
    return Memory(
        tau=tau,
        frequency=frequency,
        oscillating=int(np.count_nonzero(frequency)),
        level_tau=float(min(14.0 * span, slowest)),
        spread_tau=np.minimum(span * np.array([7.0, 0.3, 1.0, 7.0]), slowest),
        lags=lags,
        ring=max((lags, *seasons)),
    )


def _seasonal_poles(seasons: tuple[int, ...]) -> list[tuple[float, float]]:
    """List (tau, turns per step), the most useful first, so that few rows keep the best."""
    first = seasons[0]
    harmonics = range(1, max(1, min(12, first // 2)) + 1)
    scales = (3.0, 14.0, 1.0, 28.0, 7.0, 0.5, 0.1)
    poles = [(max(scale * first, 1.0), 0.0) for scale in scales]
    for scale in scales:
        poles += [(max(scale * first, 1.0), k / first) for k in harmonics]
    for season in seasons[1:]:
        poles += [(scale * season, k / season) for k in (1, 2, 3) for scale in (1.0, 3.0)]
    return poles


def _octave_poles(rows: int) -> list[tuple[float, float]]:
    spans = [2.0**k for k in range(1, 13) if 2.0**k <= max(rows / 3, 2.0)]
    return [(span, 0.0) for span in spans] + [(span, 1 / (2 * span)) for span in spans]
