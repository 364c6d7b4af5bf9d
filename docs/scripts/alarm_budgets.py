"""Ask for false alarms, count them: budgets of 0.1, 1 and 7 an asset and week on unseen normal rows.

    python docs/scripts/alarm_budgets.py /path/to/data/anomaly

The plant is simulated without faults; the folder holds Tennessee Eastman (`tep`) and BATADAL
(`batadal`) as Parquet files with `label` and a column a tag. Rows labelled anomalous, and a
day after them, do not count; nor does a budget that less than half an alarm is expected under.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm import SSMDetector, simulate_plant

BUDGETS = (0.1, 1.0, 7.0)
WEEK_S = 7 * 24 * 3600.0
TOLD = 14 * 24  # hours: the first two weeks of BATADAL's second year
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Training rows of some assets, and unseen rows of each with where they are normal.

    The alarms of the first `told` unseen rows are called false, and those rows are not judged.
    """

    name: str
    period_s: float
    train: list[FloatArray]
    test: list[tuple[FloatArray, NDArray[np.bool_]]]
    told: int = 0

    @property
    def weeks(self) -> float:
        """Return the asset-weeks of unseen normal operation."""
        return sum(int(normal.sum()) for _, normal in self.test) * self.period_s / WEEK_S

    def false_alarms(self, budget: float) -> tuple[int, int]:
        """Return the alarms that open in unseen normal rows, and such rows inside alarms."""
        detector = SSMDetector(alarm_budget=budget, period=self.period_s)
        detector.fit(np.vstack(self.train), groups=_names(self.train))
        if self.told:
            first = np.vstack([values[: self.told] for values, _ in self.test])
            said = np.where(detector.predict(first) < 0, "false_alarm", "")
            detector.adjust(first, said)
        opened = inside = 0
        for values, normal in self.test:
            events = detector.events(values)
            opened += int(normal[events["started"]].sum())
            for start, end in zip(events["started"], events["ended"], strict=True):
                inside += int(normal[start:end].sum())
        return opened, inside


def _names(parts: list[FloatArray]) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def plants(seeds: int) -> Iterator[Case]:
    """Yield healthy plants of two assets: 34 days to learn from, 22 to judge."""
    for seed in range(seeds):
        plant = simulate_plant(seed=seed, faults=None)
        rows = int(0.6 * len(plant.time))
        every = list(plant.values.values())
        later = np.arange(len(plant.time)) >= rows
        test = [(values, later) for values in every]
        yield Case("plant", plant.period_s, [values[:rows] for values in every], test)


def eastman(folder: Path) -> Case:
    """Return Tennessee Eastman: the normal run, and what precedes each fault."""
    files = sorted((folder / "tep").glob("d*_test.parquet"))
    test = [_read(file, 480) for file in files]
    return Case("TEP", 180.0, [_read(folder / "tep" / "d00_train.parquet", 0)[0]], test)


def water(folder: Path) -> Iterator[Case]:
    """Yield BATADAL's year without attacks, its last third unseen; and the year with attacks."""
    year, _ = _read(folder / "batadal" / "dataset03.parquet", 0)
    learnt = int(0.7 * len(year))
    later = np.arange(len(year)) >= learnt
    yield Case("BATADAL, year 1", 3600.0, [year[:learnt]], [(year, later)])
    attacked = _read(folder / "batadal" / "dataset04.parquet", 24)
    yield Case("BATADAL, year 2", 3600.0, [year], [attacked])
    values, normal = attacked
    later = normal & (np.arange(len(normal)) >= TOLD)
    yield Case("BATADAL, year 2, told", 3600.0, [year], [(values, later)], told=TOLD)


def _read(file: Path, recovery: int) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return a file's readings and where they are normal, `recovery` rows after each anomaly."""
    frame = pl.read_parquet(file)
    values = frame.drop("timestamp", "label", "split").to_numpy().astype(np.float64)
    odd = frame["label"].to_numpy() > 0
    near = np.convolve(odd, np.ones(recovery + 1))[: len(odd)] > 0
    return np.ascontiguousarray(values), ~near


def line(name: str, cases: list[Case]) -> str:
    """Return a row of the table: of each budget, alarms counted and expected, and time in alarm."""
    weeks = sum(case.weeks for case in cases)
    rows = sum(int(normal.sum()) for case in cases for _, normal in case.test)
    cells = []
    for budget in BUDGETS:
        expected = budget * weeks
        if expected < 0.5:
            cells.append("too short")
            continue
        count, inside = np.sum([case.false_alarms(budget) for case in cases], axis=0)
        share = inside / rows
        cells.append(f"{count} for {expected:.1f}: {count / expected:.1f} x, {share:.1%} of time")
    return f"| {name} | {weeks:.1f} | {' | '.join(cells)} |\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    given = parser.parse_args()
    heads = [f"{budget:g} a week" for budget in BUDGETS]
    sys.stdout.write(f"| rows | asset-weeks | {' | '.join(heads)} |\n")
    sys.stdout.write("| --- | ---: | ---: | ---: | ---: |\n")
    sys.stdout.write(line("plant, healthy", list(plants(given.seeds))))
    sys.stdout.write(line("TEP", [eastman(given.folder)]))
    for case in water(given.folder):
        sys.stdout.write(line(case.name, [case]))


if __name__ == "__main__":
    main()
