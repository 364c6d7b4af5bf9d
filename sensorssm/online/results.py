"""What a step tells: of one asset, or of many at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one asset after one instant; arrays are (M,), in the tags' order.

    `score`, `threshold`, `p_value` : see `SSMDetector`; a score is NaN where nothing was read
    `expected` : the forecast of this instant from those before it, in the tags' units
    `contributions` : each tag's share of the score, summing to 1
    `lower`, `upper` : the forecaster's 10 % and 90 % quantiles, where there is a forecaster
    """

    time: Any
    asset: str
    score: float
    threshold: float
    p_value: float
    is_anomaly: bool
    expected: FloatArray
    contributions: FloatArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of A assets after one instant: the fields of `Result`, stacked.

    `score`, `p_value`, `is_anomaly` are (A,); `expected`, `contributions`, `lower`, `upper` (A, M).
    Iterating gives a `Result` an asset.
    """

    time: Any
    assets: tuple[str, ...]
    score: FloatArray
    threshold: float
    p_value: FloatArray
    is_anomaly: NDArray[np.bool_]
    expected: FloatArray
    contributions: FloatArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.assets)

    def __iter__(self) -> Iterator[Result]:
        for a, asset in enumerate(self.assets):
            yield Result(
                time=self.time,
                asset=asset,
                score=float(self.score[a]),
                threshold=self.threshold,
                p_value=float(self.p_value[a]),
                is_anomaly=bool(self.is_anomaly[a]),
                expected=self.expected[a],
                contributions=self.contributions[a],
                lower=None if self.lower is None else self.lower[a],
                upper=None if self.upper is None else self.upper[a],
            )
