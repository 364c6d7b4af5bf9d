"""Whether a correction earns its place: tuned on one part of validation, judged on a later one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.selection import FEW_HORIZONS

# A smaller improvement is not worth running a network at every reading.
LEAST_GAIN = 0.005
# One block in this many may be worse by as much; where more are, they disagree.
AGREEING = 6

Rows = NDArray[np.intp]
#: Gives the residuals (k, H, M) of the forecasts from k origins; NaN where a target is missing.
Residual = Callable[[Rows], NDArray[Any]]


@dataclass(frozen=True)
class Split:
    """Validation rows of all assets: those to tune on, and later ones in blocks to judge by."""

    tune: Rows
    blocks: tuple[Rows, ...]

    @property
    def is_usable(self) -> bool:
        """Whether there is something to tune on and something in every block."""
        return len(self.tune) > 0 and all(len(block) > 0 for block in self.blocks)


def split_validation(rows: Rows, starts: Rows, *, horizon: int, blocks: int) -> Split:
    """Split every asset's validation rows in time: tune, a gap, then `blocks` blocks to judge.

    The gap of one horizon (at most a quarter of the rows) keeps the targets that tuning has seen
    out of those that judge. The same share of every asset's record goes to each part.
    """
    rows = np.sort(rows)
    tune: list[Rows] = []
    judged: list[list[Rows]] = [[] for _ in range(blocks)]
    for own in np.split(rows, np.searchsorted(rows, starts[1:])):
        half = len(own) // 2
        gap = min(horizon, len(own) // 4)
        tune.append(own[:half])
        for block, part in zip(judged, np.array_split(own[half + gap :], blocks), strict=True):
            block.append(part)
    return Split(np.concatenate(tune), tuple(np.concatenate(parts) for parts in judged))


def shrinkage(residual: NDArray, correction: NDArray) -> NDArray[np.float64]:
    """Return, per tag, how much of a correction to believe: 0 to 1, shape (M,).

    The least-squares share of the correction in the residual (k, H, M), and 0 where the correction
    at that share does not lower the mean absolute error too.
    """
    residual, correction = residual.astype(np.float64), correction.astype(np.float64)
    there = np.isfinite(residual)
    correction = np.where(there, correction, 0.0)
    residual = np.where(there, residual, 0.0)
    power = (correction**2).sum((0, 1))
    share = (residual * correction).sum((0, 1)) / np.maximum(power, np.finfo(float).tiny)
    share = np.clip(share, 0.0, 1.0)
    left = np.abs(residual - share * correction).sum((0, 1))
    return np.where(left < np.abs(residual).sum((0, 1)), share, 0.0)


@dataclass(frozen=True)
class Gain:
    """Relative improvement in each judging block, of the pinball loss at 0.5 and of the square.

    `horizons` is how many of them fit side by side into the judging rows: of a few, the standard
    error over the blocks tells too little. A gain below `least` is not worth having.
    """

    absolute: NDArray[np.float64]
    square: NDArray[np.float64]
    horizons: float = np.inf
    least: float = LEAST_GAIN

    @property
    def mean(self) -> float:
        """The improvement of the pinball loss, mean over blocks."""
        return float(self.absolute.mean())

    @property
    def is_earned(self) -> bool:
        """Whether the mean is worth having and above zero by one standard error, hardly a block
        disagrees, and the square is no worse."""
        error = self.absolute.std(ddof=1) / np.sqrt(len(self.absolute))
        doubt = error * (1.0 + FEW_HORIZONS / self.horizons)
        agreed = np.count_nonzero(self.absolute < -self.least) * AGREEING <= len(self.absolute)
        return bool(agreed and self.mean > max(doubt, self.least) and self.square.mean() >= 0)


def gain(pairs: list[tuple[NDArray, NDArray]], least: float = LEAST_GAIN) -> Gain:
    """Return the gain of corrections over none, from one (residual, correction) pair a block.

    Both are (k, H, M).
    """
    horizons = sum(len(residual) / residual.shape[1] for residual, _ in pairs)
    absolute, square = [], []
    for residual, correction in pairs:
        there = np.isfinite(residual)
        before = residual[there].astype(np.float64)
        after = before - correction[there]
        absolute.append(_improvement(np.abs(before).sum(), np.abs(after).sum()))
        square.append(_improvement((before**2).sum(), (after**2).sum()))
    return Gain(np.array(absolute), np.array(square), max(horizons, 1e-3), least)


def _improvement(before: float, after: float) -> float:
    return float(1.0 - after / before) if before > 0 else 0.0
