"""How far a forecast may leave the last reading: as far as its moves have come true of late.

What a readout learned may end: a tag settles on a level that training never saw, wanders off, or
turns out to grow. Then a forecast that leaves the last reading is worse than the last reading, and
nothing in its weights can tell. So each reading that arrives judges the forecasts made for it 1, 2,
.. H steps before: of what a forecast moved away from the last reading, d, this much came true, r.
The share that the next forecasts take of their own moves, between nothing (the last reading) and
all, is a regression of r on d that believes in all of it, give or take `DOUBT`, until it is told
otherwise: (sum(d r) + p) / (sum(d d) + p), where p is the noise over the square of that doubt, and
the noise is what held-back rows erred, h times over as forecasts h steps ahead overlap. So moves
that come true are left alone, small ones are doubted late, and those that fail by far at once.
A move unheard of, such as the whole way back from a level never seen, tells of longer forecasts
too, in proportion to their steps: those need not wait until they are read themselves.
Only what has matured is used, a few knots of the horizon stand for all of it, and so a reading
costs O(1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.models.reach_fold import follow, judge, weigh

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: What forecasts h steps ahead told fades over this many rows and ten horizons.
ROWS, HORIZONS = 40.0, 10.0
NEVER = -1.0


class ReachState(NamedTuple):
    """What is remembered of one asset.

    Attributes
    ----------
    moves : (R, M, K) forecast minus last reading of the last R grid slots, at the knots
    lasts : (R, M) the last readings then
    moved : (R,) the slots
    told : (4, M, K) fading sums of move times change, and of squared moves; both of moves unheard of
    """

    moves: FloatArray
    lasts: FloatArray
    moved: FloatArray
    told: FloatArray

    def copy(self) -> ReachState:
        """Return a state that shares nothing with this one."""
        return ReachState(*(part.copy() for part in self))


@dataclass(frozen=True)
class Reach:
    """The rule; holds no state.

    Attributes
    ----------
    knots : (K,) steps, from 1, that stand for the horizon
    usual : (3, M, K) mean squares on held-back rows: of what forecasts erred, how far they moved
        away from the last reading, and how far the readings did
    """

    knots: IntArray
    usual: FloatArray

    @classmethod
    def of(cls, knots: IntArray, errors: FloatArray, moves: FloatArray) -> Reach:
        """Return the rule for errors and moves (k, K, M) of held-back rows, NaN where unknown."""
        known = np.isfinite(errors) & np.isfinite(moves)
        rows = np.maximum(known.sum(axis=0), 1)
        squares = np.where(known, np.stack([errors, moves, moves + errors]), 0.0) ** 2
        return cls(knots, squares.sum(axis=1).swapaxes(1, 2) / rows.T)

    @cached_property
    def rows(self) -> FloatArray:
        """Return how many rows of a knot's forecasts are remembered, (K,)."""
        return ROWS + HORIZONS * self.knots.astype(np.float64)

    @cached_property
    def keep(self) -> FloatArray:
        """Return what is left of a knot's sums after one more reading, (K,)."""
        return np.exp(-1.0 / self.rows)

    @cached_property
    def noise(self) -> FloatArray:
        """Return how far squared moves must add up to tell as much as they leave open, (M, K)."""
        return self.usual[0] * self.knots

    def init_state(self) -> ReachState:
        """Return the state before any forecast."""
        slots, shape = int(self.knots[-1]) + 1, self.usual.shape[1:]
        return ReachState(
            np.zeros((slots, *shape)),
            np.zeros((slots, shape[0])),
            np.full(slots, NEVER),
            np.zeros((4, *shape)),
        )

    def advance(
        self,
        values: FloatArray,
        slots: FloatArray,
        last: FloatArray,
        points: FloatArray,
        state: ReachState,
    ) -> FloatArray:
        """Judge old forecasts by `values`, hold back new ones; return what was told until each row.

        Parameters
        ----------
        values : (n, M); slots : (n,) their places on the grid; last : (n, M) readings
        points : (n, M, K) forecasts made after each row, at the knots; overwritten
        state : overwritten

        Returns
        -------
        (n, M, K, 2) how much of the moves came true, and how much they were, for `follow`
        """
        out = np.empty((*points.shape, 2))
        judge(
            values, slots, last, self.knots, self.rows, self.keep, self.noise, self.usual, points,
            *state, out,
        )  # fmt: skip
        return out

    def look(self, state: ReachState) -> FloatArray:
        """Return what a state was told, (1, M, K, 2), for `follow`."""
        out = np.empty((1, *state.told.shape[1:], 2))
        weigh(state.told, self.noise, self.knots, self.rows, out[0])
        return out

    def follow(
        self, point: FloatArray, last: FloatArray, waited: FloatArray, weighed: FloatArray
    ) -> FloatArray:
        """Return forecasts (k, H, M) held back towards the last readings (k, M); overwritten.

        `waited` (k, M) are the steps since those readings: they count as steps ahead.
        """
        follow(point, last, waited, weighed, self.knots)
        return point
