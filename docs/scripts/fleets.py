"""Measure what readouts of single assets are worth in seeded fleets.

    python docs/scripts/fleets.py

Ten assets of two tags each are fitted together; errors are those of forecasts 24 steps ahead on 600
rows that follow what was fitted. An unknown asset is forecast by the shared readout, so the same
rows under a strange name are the comparison. Prints a Markdown table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from sensorssm import SSMForecaster

FloatArray = NDArray[np.float64]
Generator = np.random.Generator

HORIZON, TEST, SEEDS = 24, 600, 3


def swinging(rng: Generator, rows: int, apart: float) -> FloatArray:
    """Return two tags that swing, driven by noise, with periods around 20 steps."""
    return np.stack([_swing(rng, rows, apart) for _ in range(2)], axis=1)


def _swing(rng: Generator, rows: int, apart: float) -> FloatArray:
    period = 20.0 * np.exp(apart * rng.uniform(-0.9, 0.9))
    size = 1.0 - 0.07 * np.exp(apart * rng.uniform(-1.0, 1.0))
    return _driven([1.0, -2.0 * size * np.cos(2.0 * np.pi / period), size**2], rng, (rows,))


def lagging(rng: Generator, rows: int, apart: float) -> FloatArray:
    """Return two tags that follow noise with one time constant, from 1 to 55 steps."""
    tau = np.exp(2.0 + 2.0 * apart * rng.uniform(-1.0, 1.0))
    return _driven([1.0, -np.exp(-1.0 / tau)], rng, (rows, 2))


def wandering(rng: Generator, rows: int, apart: float) -> FloatArray:
    """Return two random walks."""
    return rng.standard_normal((rows, 2)).cumsum(axis=0)


def _driven(poles: list[float], rng: Generator, shape: tuple[int, ...]) -> FloatArray:
    noise = rng.standard_normal((shape[0] + 200, *shape[1:]))
    x = np.asarray(lfilter([1.0], poles, noise, axis=0))[200:]
    return x / x.std()


Make = Callable[[Generator, int, float], FloatArray]

#: The fleet, how its assets are made, how far apart they are, and their rows.
FLEETS: tuple[tuple[str, Make, float, list[int]], ...] = (
    ("swings of other periods and damping", swinging, 1.0, [300] * 10),
    ("the same", swinging, 1.0, [1500] * 10),
    ("the same", swinging, 1.0, [5000] * 10),
    ("the same, one asset of 50 rows", swinging, 1.0, [50] + [5000] * 9),
    ("time constants of 1 to 55 steps", lagging, 1.0, [1500] * 10),
    ("the same", lagging, 1.0, [5000] * 10),
    ("swings, all alike", swinging, 0.0, [1500] * 10),
    ("random walks", wandering, 0.0, [300] * 10),
)


def judge(make: Make, apart: float, rows: list[int], seed: int) -> tuple[FloatArray, int]:
    """Return each asset's squared error over that of the shared readout, and how many have their
    own."""
    rng = np.random.default_rng(seed)
    assets = {f"asset {i}": make(rng, n + TEST, apart) for i, n in enumerate(rows)}
    X = np.concatenate([x[:n] for x, n in zip(assets.values(), rows, strict=True)])
    model = SSMForecaster(horizon=HORIZON).fit(X, groups=np.repeat(list(assets), rows))
    ratios = [
        _error(model, x, n, name) / _error(model, x, n, "stranger")
        for (name, x), n in zip(assets.items(), rows, strict=True)
    ]
    return np.array(ratios), sum(gain > 0 for gain in model.own_gain_.values())


def _error(model: SSMForecaster, x: FloatArray, trained: int, name: str) -> float:
    origins = np.arange(trained - 1, len(x) - HORIZON - 1, 3)
    told = model.forecast_from(x, origins, groups=np.repeat(name, len(x)))
    came = np.stack([x[at + 1 : at + 1 + HORIZON] for at in origins])
    return float(((told - came) ** 2).mean())


def main() -> None:
    """Print the table."""
    lines = [
        "| fleet | rows an asset | own readouts kept | error: mean | worst |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, make, apart, rows in FLEETS:
        ratios, kept = zip(*(judge(make, apart, rows, seed) for seed in range(SEEDS)), strict=True)
        share = sum(kept) / (SEEDS * len(rows))
        mean, worst = np.mean(ratios), np.max(ratios)
        lines.append(f"| {name} | {rows[-1]:,} | {share:.0%} | {mean:.3f} | {worst:.3f} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
