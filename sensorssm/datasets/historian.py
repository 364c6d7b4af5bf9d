"""The export a real historian would give of a plant: long rows, in arrival order, dirty."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sensorssm.datasets.plant import Plant
from sensorssm.errors import ConfigError
from sensorssm.names import ASSET, QUALITY, READING, TAG, TIME, UNIT, VALUE, Quality

Dialect = Literal["sensorssm", "opc-da"]
Columns = dict[str, NDArray]

#: The number that stands for each `Quality` in a dialect: 0 is good in one and bad in the other.
DIALECTS: Final[Mapping[str, tuple[int, int, int]]] = {
    "sensorssm": (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD),
    "opc-da": (192, 64, 0),
}

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


@dataclass(frozen=True)
class ExportAccount:
    """What an export holds, in rows: ``rows == clean - lost + exact + conflicting``.

    After sorting and dropping duplicates (the best quality wins) ``clean - lost`` rows are left,
    of which `bad_plausible` and `bad_nan` carry no reading.
    """

    clean: int
    lost: int
    exact: int
    conflicting: int
    late: int
    bad_plausible: int
    bad_nan: int
    uncertain: int
    rows: int


def historian_export(
    plant: Plant,
    *,
    seed: int = 0,
    rates: ExportRates | None = None,
    dialect: Dialect = "sensorssm",
) -> Columns:
    """Return `plant` as columns asset, tag, time, value, quality, unit, in order of arrival.

    `time` is datetime64[ns] in UTC, `value` float64, `quality` uint8 in `dialect`'s numbers.
    `account_export` tells what was done to the rows under the same arguments.

    Raises
    ------
    ConfigError : `dialect` is unknown.
    """
    return _export(plant, seed, rates or ExportRates(), dialect)[0]


def account_export(
    plant: Plant, *, seed: int = 0, rates: ExportRates | None = None
) -> ExportAccount:
    """Return what `historian_export` of the same arguments injected."""
    return _export(plant, seed, rates or ExportRates(), "sensorssm")[1]


def write_historian_csv(
    plant: Plant,
    folder: str | Path,
    *,
    seed: int = 0,
    rates: ExportRates | None = None,
    dialect: Dialect = "sensorssm",
) -> ExportAccount:
    """Write the export as ``<folder>/<asset>.csv``, one file an asset, and return its account.

    Times are ISO 8601 to the second with a Z; a Bad reading without a value is written ``NaN``.
    The folder is made when it is missing; files of the same names are replaced.
    """
    columns, account = _export(plant, seed, rates or ExportRates(), dialect)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for asset in plant.assets:
        own = columns[ASSET] == asset
        _write_csv(folder / f"{asset}.csv", {name: column[own] for name, column in columns.items()})
    return account


def _write_csv(path: Path, columns: Columns) -> None:
    instants, at = np.unique(columns[TIME], return_inverse=True)  # far fewer instants than rows
    stamps = np.char.add(np.datetime_as_string(instants, unit="s"), "Z")
    values = columns[VALUE].astype(object)  # csv writes a float's shortest exact text
    values[np.isnan(columns[VALUE])] = "NaN"
    text = {**columns, TIME: stamps[at], VALUE: values}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(READING)
        writer.writerows(zip(*(text[name].tolist() for name in READING), strict=True))


def _export(
    plant: Plant, seed: int, rates: ExportRates, dialect: str
) -> tuple[Columns, ExportAccount]:
    if dialect not in DIALECTS:
        raise ConfigError.for_key(dialect, DIALECTS, "the quality dialects")
    rng = np.random.default_rng([seed, 7])
    kept = np.flatnonzero(~_lost(plant, rates, rng))
    value, quality, spoiled = _degrade(_flatten(plant)[kept], rates, rng)
    delay_s, late = _delays(len(kept), plant.period_s, rates, rng)

    exact = rng.choice(len(kept), round(rates.exact_duplicates * len(kept)), replace=False)
    good = np.flatnonzero(quality == Quality.GOOD)
    count = min(round(rates.conflicting_duplicates * len(kept)), len(good))
    conflicting = rng.choice(good, count, replace=False)
    # A copy comes after its reading: at once by a second path, or hours later by a backfill.
    copied = np.concatenate([exact, conflicting])
    copy_delay_s = delay_s[copied] + rng.exponential(1800.0, len(copied))
    estimate = np.round(value[conflicting] * 1.001, 3)  # of the same instant, with a worse quality

    source = np.concatenate([np.arange(len(kept)), copied])
    value = np.concatenate([value, value[exact], estimate])
    quality = np.concatenate([quality, quality[exact], np.full(count, Quality.UNCERTAIN)])
    delay_s = np.concatenate([delay_s, copy_delay_s])
    columns = _arrange(plant, kept[source], value, quality, delay_s, DIALECTS[dialect])
    clean = len(plant.assets) * len(plant.time) * len(plant.tags)
    lost = clean - len(kept)
    return columns, ExportAccount(clean, lost, len(exact), count, late, *spoiled, len(source))


def _arrange(
    plant: Plant,
    position: NDArray[np.int64],
    value: NDArray[np.float64],
    quality: NDArray[np.uint8],
    delay_s: NDArray[np.float64],
    codes: tuple[int, int, int],
) -> Columns:
    """Return the columns of readings at `position` in `_flatten`'s order, as they arrive."""
    shape = (len(plant.assets), len(plant.time), len(plant.tags))
    _, row, _ = np.unravel_index(position, shape)
    order = np.argsort(row * plant.period_s + delay_s, kind="stable")
    asset, row, tag = np.unravel_index(position[order], shape)
    return {
        ASSET: np.array(plant.assets)[asset],
        TAG: np.array([each.name for each in plant.tags])[tag],
        TIME: plant.time[row],
        VALUE: value[order],
        QUALITY: np.array(codes, dtype=np.uint8)[quality[order]],
        UNIT: np.array([each.unit for each in plant.tags])[tag],
    }


def _flatten(plant: Plant) -> NDArray[np.float64]:
    """Return every reading in order of asset, row, tag."""
    return np.concatenate([plant.values[asset].reshape(-1) for asset in plant.assets])


def _lost(plant: Plant, rates: ExportRates, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which readings fall into a gap, in the order of `_flatten`."""
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


def _degrade(
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


def _delays(
    rows: int, period_s: float, rates: ExportRates, rng: np.random.Generator
) -> tuple[NDArray[np.float64], int]:
    """Return each reading's way to the historian in seconds, and how many come out of order."""
    delay_s = rng.uniform(0.0, min(2.0, 0.5 * period_s), rows)
    late = rng.choice(rows, round(rates.late * rows), replace=False)
    delay_s[late] += 2.0 * period_s + rng.exponential(rates.late_mean_s, len(late))
    return delay_s, len(late)
