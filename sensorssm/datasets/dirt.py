"""What a line and a historian do to readings: gaps, bad qualities, delays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sensorssm.datasets.plant import Plant
from sensorssm.errors import ConfigError
from sensorssm.names import Quality

_WEEK_S = 7 * 86400.0


@dataclass(frozen=True)
class ExportRates:
    """How dirty an export is: shares of all rows, or gaps per week and their mean length."""

    exact_duplicates: float = 0.004
    conflicting_duplicates: float = 0.001
    late: float = 0.008
    late_mean_s: float = 2400.0
    bad_plausible: float = 0.001
    bad_nan: float = 0.001
    uncertain: float = 0.002
    tag_gaps_per_week: float = 0.4  # of each tag
    asset_gaps_per_week: float = 0.3  # of each asset: the line to the historian was down
    gap_mean_s: float = 3600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            rate = getattr(self, field.name)
            is_share = not field.name.endswith(("_s", "_per_week"))
            if not (np.isfinite(rate) and rate >= 0) or (is_share and rate > 0.2):
                wanted = "a share of 0 to 0.2" if is_share else "a number of 0 or more"
                raise ConfigError(f"{field.name} must be {wanted}, found {rate}.")


def draw_lost(plant: Plant, rates: ExportRates, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which readings fall into a gap, in order of asset, row, tag."""
    assets, rows, tags = len(plant.assets), len(plant.time), len(plant.tags)
    lost = np.zeros((assets, rows, tags), dtype=np.bool_)
    weeks = rows * plant.period_s / _WEEK_S

    def gap() -> slice:
        begin = int(rng.integers(rows))
        return slice(begin, begin + 1 + int(rng.exponential(rates.gap_mean_s) // plant.period_s))

    for asset in range(assets):
        for _ in range(rng.poisson(rates.asset_gaps_per_week * weeks)):
            lost[asset, gap()] = True
        for tag in range(tags):
            for _ in range(rng.poisson(rates.tag_gaps_per_week * weeks)):
                lost[asset, gap(), tag] = True
    return lost.reshape(-1)


def degrade(
    value: NDArray[np.float64], rates: ExportRates, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.uint8], tuple[int, int, int]]:
    """Return values and qualities with Bad and Uncertain readings, and how many of each kind."""
    shares = (rates.bad_plausible, rates.bad_nan, rates.uncertain)
    counts = [round(share * len(value)) for share in shares]
    chosen = rng.choice(len(value), sum(counts), replace=False, shuffle=True)
    plausible, missing, uncertain = np.split(chosen, np.cumsum(counts)[:2])
    value, quality = value.copy(), np.zeros(len(value), dtype=np.uint8)
    wrong = value[plausible] * rng.uniform(0.8, 1.2, len(plausible))
    value[plausible] = np.round(wrong, 3)  # believable
    value[missing] = np.nan
    quality[plausible] = quality[missing] = Quality.BAD
    quality[uncertain] = Quality.UNCERTAIN
    return value, quality, (len(plausible), len(missing), len(uncertain))


def draw_delays(
    rows: int, period_s: float, rates: ExportRates, rng: np.random.Generator
) -> tuple[NDArray[np.float64], int]:
    """Return each reading's way to the historian in seconds, and how many come out of order."""
    delay_s = rng.uniform(0.0, min(2.0, 0.5 * period_s), rows)
    late = rng.choice(rows, round(rates.late * rows), replace=False)
    delay_s[late] += 2.0 * period_s + rng.exponential(rates.late_mean_s, len(late))
    return delay_s, len(late)
