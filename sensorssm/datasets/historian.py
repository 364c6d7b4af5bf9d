"""The export a real historian would give of a plant: long rows, in arrival order, dirty."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sensorssm.datasets.dirt import ExportRates, degrade, draw_delays, draw_lost
from sensorssm.datasets.plant import Plant
from sensorssm.datasets.streams import Purpose, draw_stream
from sensorssm.errors import ConfigError
from sensorssm.names import ASSET, QUALITY, READING, TAG, TIME, UNIT, VALUE, Quality

Dialect = Literal["sensorssm", "opc-da"]
Columns = dict[str, NDArray]

#: The number that stands for each `Quality` in a dialect: 0 is good in one and bad in the other.
DIALECTS: Final[Mapping[str, tuple[int, int, int]]] = {
    "sensorssm": (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD),
    "opc-da": (192, 64, 0),
}


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
    rng = draw_stream(seed, Purpose.EXPORT)
    kept = np.flatnonzero(~draw_lost(plant, rates, rng))
    value, quality, spoiled = degrade(_flatten(plant)[kept], rates, rng)
    delay_s, late = draw_delays(len(kept), plant.period_s, rates, rng)

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
