"""Which poles a memory has: by the seasons of its tags, and how many rows there are to learn from."""

from __future__ import annotations

import numpy as np

from sensorssm.models.memory import Memory


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
