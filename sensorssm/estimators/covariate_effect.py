"""What inputs with a known future do to a forecast: a kernel on what is new in that future.

A forecaster has seen a covariate's past already, in the readings that answered to it. What a known
future adds is only its innovation: the future that comes minus the one that was to be expected.
Regressing the forecast's error on it gives the weights that one joint regression would give to the
covariate (the theorem of Frisch and Waugh), and leaves the forecast without a known future as it
is. The weights are those of a few exponential filters along the horizon, so that an input may act
at once or slowly, and they are the same at every step: ten steps ahead, the reading answers to the
input of three steps before as it does today.

References
----------
Frisch and Waugh 1933, Econometrica 1, 387-401.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from sensorssm.estimators.selection import surely_less
from sensorssm.models.readout import Normal, Sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Decay times of the filters, in steps; 0 acts at once.
DECAY_STEPS = np.array([0.0, 2.0, 8.0, 32.0])
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
#: A residual counts as this many usual sizes at most.
FARTHEST = 5.0
#: Fewer held-back rows than this teach nothing.
LEAST_ROWS = 50
#: Numbers of filtered innovations that are learned from at most.
MOST_FLOATS = 8_000_000


@dataclass(frozen=True)
class Effect:
    """The fitted kernel of K covariates on M tags.

    Attributes
    ----------
    weights : (K J, M) of each covariate's filters, in the tag's unit over the covariate's
    gain : (M,) share of the held-back squared error that was taken off; 0 where nothing was kept
    """

    weights: FloatArray
    gain: FloatArray

    def move(self, innovation: FloatArray) -> FloatArray:
        """Return what innovations (k, H, K), 0 where unknown, add to the forecasts, (k, H, M)."""
        # einsum adds up in an order of its own that does not depend on k, unlike a BLAS product.
        return np.einsum("khf,fm->khm", filtered(innovation), self.weights)


def filtered(innovation: FloatArray) -> FloatArray:
    """Return each covariate's exponential means along the horizon, (k, H, K J)."""
    keep = np.where(DECAY_STEPS > 0, np.exp(-1.0 / np.maximum(DECAY_STEPS, 1e-9)), 0.0)
    means = [lfilter([1.0 - r], [1.0, -r], innovation, axis=1) for r in keep]
    return np.stack(means, axis=-1).reshape(*innovation.shape[:2], -1)


def learn_effect(
    residual: FloatArray, innovation: FloatArray, block: IntArray
) -> tuple[Effect, FloatArray]:
    """Return the effect of `innovation` (k, H', K) on held-back `residual` (k, H', M), and what it
    leaves of it where it had not seen it, NaN where it was not judged.

    `block` (k,) are the rows' blocks. A tag keeps an effect that was surely better on blocks it had
    not seen, with the penalty that did best there.
    """
    known = np.isfinite(residual).any(axis=(1, 2))
    every = _stride(int(known.sum()), residual.shape[1], innovation.shape[2])
    rows = np.flatnonzero(known)[::every]
    left = np.full(residual.shape, np.nan)
    left[rows] = residual[rows]
    residual, inputs, block = residual[rows], filtered(innovation[rows]), block[rows]
    size = _usual_size(residual)
    lesson = _Lesson.of(residual, inputs, block, size)
    tags = residual.shape[2]
    weights = np.zeros((inputs.shape[2], tags))
    gain = np.zeros(tags)
    for tag in range(tags) if len(rows) >= LEAST_ROWS and len(lesson.blocks) > 1 else ():
        penalty, held_back, before = lesson.choose(tag)
        if not surely_less(held_back, before, max(len(rows) / residual.shape[1], 1e-3)):
            continue
        weights[:, tag] = lesson.weights(tag, penalty, lesson.blocks)
        left[rows, :, tag] = lesson.left(tag, penalty)
        gain[tag] = 1.0 - held_back.sum() / before.sum()
    return Effect(weights, gain), left


@dataclass(frozen=True)
class _Lesson:
    """Held-back residuals, the filtered innovations beside them, and their sums by block."""

    residual: FloatArray
    inputs: FloatArray
    block: IntArray
    blocks: list[int]
    sums: Sums
    size: FloatArray

    @classmethod
    def of(
        cls, residual: FloatArray, inputs: FloatArray, block: IntArray, size: FloatArray
    ) -> _Lesson:
        """Add up the sums: each step over its usual size, so that far steps do not drown near ones."""
        tags = residual.shape[2]
        sums = Sums.empty(int(block.max(initial=0)) + 1, tags, inputs.shape[2], 1, (1,))
        for tag in range(tags):
            unit = size[:, tag, None]
            y = np.clip(residual[:, :, tag, None] / unit, -FARTHEST, FARTHEST)
            for k in np.unique(block):
                told = np.isfinite(y[block == k, :, 0])
                wanted = y[block == k][told]
                own = (inputs[block == k] / unit)[told]
                sums.add(int(k), tag, own, wanted, (wanted**2).sum(axis=0))
        return cls(residual, inputs, block, [int(k) for k in np.unique(block)], sums, size)

    def choose(self, tag: int) -> tuple[float, FloatArray, FloatArray]:
        """Return the best penalty, its squared error on each block by the others, and that of 0."""
        none = np.array([float(self.sums.yy[k, tag, 0]) for k in self.blocks])
        tried = [
            np.array(
                [
                    float(self.sums.squared_error(k, tag, weights[:, None])[0])
                    for k, weights in self._left_out(tag, penalty)
                ]
            )
            for penalty in PENALTIES
        ]
        best = int(np.argmin([errors.sum() for errors in tried]))
        return PENALTIES[best], tried[best], none

    def weights(self, tag: int, penalty: float, blocks: list[int]) -> FloatArray:
        """Return the ridge weights (K J,) learned from some blocks."""
        sums = self.sums.select(blocks)
        zz, rows = sums.zz[0, tag], float(sums.rows[0, tag])
        scale = np.sqrt(np.diag(zz) / max(rows, 1.0))
        scale = np.where(scale > 1e-12, scale, np.inf)
        return Normal(zz, sums.zy[0, tag], rows, scale).solve(penalty)[:, 0]

    def left(self, tag: int, penalty: float) -> FloatArray:
        """Return the residual (k, H') that is left on each block by weights of the others."""
        out = np.empty(self.residual.shape[:2])
        for k, weights in self._left_out(tag, penalty):
            mine = self.block == k
            out[mine] = self.residual[mine, :, tag] - self.inputs[mine] @ weights
        return out

    def _left_out(self, tag: int, penalty: float) -> Iterator[tuple[int, FloatArray]]:
        for k in self.blocks:
            yield k, self.weights(tag, penalty, [other for other in self.blocks if other != k])


def _usual_size(residual: FloatArray) -> FloatArray:
    """Return the root mean square (H', M) over the known of (k, H', M), 1 where none is known."""
    known = np.isfinite(residual).sum(axis=0)
    square = np.nansum(residual**2, axis=0) / np.maximum(known, 1)
    return np.where(known > 0, np.maximum(np.sqrt(square), 1e-12), 1.0)


def _stride(rows: int, steps: int, covariates: int) -> int:
    return max(1, rows * steps * covariates * len(DECAY_STEPS) // MOST_FLOATS)
