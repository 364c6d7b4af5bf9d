"""Measure what readouts of single assets, and numbers that never change, are worth in seeded fleets.

    python docs/scripts/fleets.py

Ten assets of two tags each are fitted together; errors are those of forecasts 24 steps ahead on 600
rows that follow what was fitted. An unknown asset is forecast by the shared readout, so the same
rows under a strange name are the comparison. Then what a number of each asset is worth to assets that
were not in the fit. Prints two Markdown tables.
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
    period = np.exp(apart * rng.uniform(-0.9, 0.9))
    damping = np.exp(apart * rng.uniform(-1.0, 1.0))
    return _swung(rng, (rows,), 20.0 * period, 1.0 - 0.07 * damping)


def lagging(rng: Generator, rows: int, apart: float) -> FloatArray:
    """Return two tags that follow noise with one time constant, from 1 to 55 steps."""
    return lagged(rng, rows, apart * rng.uniform(-1.0, 1.0))


def wandering(rng: Generator, rows: int, apart: float) -> FloatArray:
    """Return two random walks."""
    return rng.standard_normal((rows, 2)).cumsum(axis=0)


def lagged(rng: Generator, rows: int, number: float) -> FloatArray:
    """Return two tags whose time constant follows a number, from -1 to 1, of the asset."""
    return _driven([1.0, -np.exp(-np.exp(-2.0 - 2.0 * number))], rng, (rows, 2))


def swung(rng: Generator, rows: int, number: float) -> FloatArray:
    """Return two tags whose period follows a number of the asset."""
    return _swung(rng, (rows, 2), 20.0 * np.exp(0.9 * number), 0.93)


def _swung(rng: Generator, shape: tuple[int, ...], period: float, size: float) -> FloatArray:
    turn = 2.0 * np.pi / period
    return _driven([1.0, -2.0 * size * np.cos(turn), size**2], rng, shape)


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

#: What follows the number, how its assets are made, whether the number is theirs, assets and rows.
NUMBERED: tuple[tuple[str, Make, bool, int, int], ...] = (
    ("time constant, 1 to 55 steps", lagged, True, 5, 1500),
    ("the same", lagged, True, 10, 1500),
    ("period, 8 to 49 steps", swung, True, 5, 1500),
    ("the same", swung, True, 10, 1500),
    ("the same", swung, True, 20, 500),
    ("nothing: numbers drawn at random", swung, False, 10, 1500),
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


def judge_unseen(make: Make, theirs: bool, assets: int, rows: int, seed: int) -> FloatArray:
    """Return the squared errors of seven assets that were not in the fit, over those of strangers."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1.0, 1.0, assets)
    numbers = places if theirs else rng.uniform(-1.0, 1.0, assets)
    static = {f"asset {i}": {"size": float(number)} for i, number in enumerate(numbers)}
    X = np.concatenate([make(rng, rows, place) for place in places])
    model = SSMForecaster(horizon=HORIZON)
    model.fit(X, groups=np.repeat(list(static), rows), static=static)
    unseen = {f"new {place}": place for place in np.linspace(-0.9, 0.9, 7)}
    model.introduce({name: {"size": float(place)} for name, place in unseen.items()})
    ratios = []
    for name, place in unseen.items():
        x = make(rng, 1500, place)
        ratios.append(_error(model, x, 100, name) / _error(model, x, 100, "stranger"))
    return np.array(ratios)


def main() -> None:
    """Print the tables."""
    lines = [
        "| fleet | rows an asset | own readouts kept | error: mean | worst |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, make, apart, rows in FLEETS:
        ratios, kept = zip(*(judge(make, apart, rows, seed) for seed in range(SEEDS)), strict=True)
        share = sum(kept) / (SEEDS * len(rows))
        mean, worst = np.mean(ratios), np.max(ratios)
        lines.append(f"| {name} | {rows[-1]:,} | {share:.0%} | {mean:.3f} | {worst:.3f} |")
    lines += [
        "",
        "| the number tells | assets | rows | error of unseen assets: mean | worst |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, make, theirs, assets, rows in NUMBERED:
        parts = [judge_unseen(make, theirs, assets, rows, seed) for seed in range(2 * SEEDS)]
        lines.append(
            f"| {name} | {assets} | {rows:,} | {np.mean(parts):.3f} | {np.max(parts):.3f} |"
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
