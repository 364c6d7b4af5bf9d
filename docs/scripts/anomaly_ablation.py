"""What the detector's memory adds: one score, made from three forecasts of the same rows.

    python docs/scripts/anomaly_ablation.py /path/to/data/anomaly --sets skab,tep

- *linear only*: ridge on the last five rows of all tags;
- *fixed memory*: and on their exponential averages, as `SSMDetector` forecasts;
- *selective*: and a selective SSM on what that leaves (`SelectiveResidual`), which has to earn its
  place on the last part of the training rows or corrects nothing.

Each residual is scored alike: its norm under a shrunk covariance, averaged over 10 rows. Nothing
is chosen on test rows. The folder holds a Parquet file a series, with `label`, `split` and a
column a tag, in folders skab, tep, batadal, nab, smd and smap; "plant" is simulated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.signal import lfilter

from sensorssm import simulate_plant
from sensorssm.config import ResidualConfig, TrainingConfig
from sensorssm.estimators.selective import SelectiveResidual
from sensorssm.evaluation.anomaly import volume_under_surface
from sensorssm.scoring import Options, Rows, fit_cell, fold, state_size, statistics_of

FloatArray = NDArray[np.float64]

FORECASTS = ("linear only", "fixed memory", "selective")
WINDOW = {"skab": 60, "batadal": 24, "plant": 24}  # of VUS; 100 for the others
NOT_TAGS = ("timestamp", "label", "split", "changepoint")
UNDETECTABLE = (3, 9, 15)  # of Tennessee Eastman; left out of averages everywhere


@dataclass(frozen=True)
class Series:
    """Rows (n, M) of one series, of which the first `train` are learnt from, and 0/1 labels."""

    values: FloatArray
    train: int
    labels: NDArray[np.bool_]


def read(folder: Path, name: str, most: int) -> Iterator[Series]:
    """Yield the series of a set: `most` of them, evenly spread over its files."""
    if name == "plant":
        for seed in range(most):
            yield _plant(seed)
        return
    if name == "batadal":
        frames = [pl.read_parquet(folder / name / f"dataset0{number}.parquet") for number in (3, 4)]
        yield _joined(frames[0], frames[1])
        return
    if name == "tep":
        normal = pl.read_parquet(folder / name / "d00_train.parquet")
        files = sorted((folder / name).glob("d*_test.parquet"))
        files = [f for f in files if int(f.name[1:3]) not in UNDETECTABLE]
        yield from (_joined(normal, pl.read_parquet(file)) for file in files[:most])
        return
    files = [f for f in sorted((folder / name).glob("*.parquet")) if f.stem != "anomaly_free"]
    step = max(len(files) // most, 1)
    for file in files[::step][:most]:
        frame = pl.read_parquet(file)
        train = frame.filter(pl.col("split") == "train")
        yield _joined(train, frame.filter(pl.col("split") != "train"))


def _joined(train: pl.DataFrame, test: pl.DataFrame) -> Series:
    tags = [name for name in train.columns if name not in NOT_TAGS]
    values = np.vstack([train[tags].to_numpy(), test[tags].to_numpy()]).astype(np.float64)
    labels = np.r_[np.zeros(len(train), dtype=bool), test["label"].to_numpy() > 0]
    return Series(np.ascontiguousarray(values), len(train), labels)


def _plant(seed: int) -> Series:
    plant = simulate_plant(seed=seed, assets=1)
    train = int(np.searchsorted(plant.time, plant.normal_until))
    return Series(plant.values["skid-1"], train, plant.labels("skid-1"))


def residuals(series: Series) -> tuple[list[FloatArray], bool]:
    """Return what each forecast leaves, (n, M) in spreads, and whether the last was kept."""
    linear, scaled = _linear(series, replace(Options(), averages=()))
    fixed, scaled = _linear(series, Options())
    correction, kept = _selective(fixed, scaled, series.train)
    return [linear, fixed, fixed - correction], kept


def _linear(series: Series, options: Options) -> tuple[FloatArray, FloatArray]:
    """Return the detector's forecast residual and the rows themselves, both scaled."""
    rows, ones = series.values[: series.train], np.ones(len(series.values))
    every = np.ones(series.train, dtype=bool)
    cell, _ = fit_cell(Rows(rows, ones[: series.train], np.array([0]), every), options)
    count, tags = series.values.shape
    expected, spare = np.empty((count, tags)), np.empty((1, tags))
    stats = np.empty((1, statistics_of(cell)))
    fold(
        cell, np.zeros(state_size(cell)), series.values, ones, np.empty(count), expected, spare,
        stats,
    )  # fmt: skip
    moves = (cell.scored > 0) & (cell.fixed == 0)
    residual, scaled = ((series.values - at) / cell.scale for at in (expected, cell.center))
    return np.nan_to_num(residual[:, moves]), np.clip(np.nan_to_num(scaled[:, moves]), -9.0, 9.0)


def _selective(residual: FloatArray, scaled: FloatArray, train: int) -> tuple[FloatArray, bool]:
    """Return what a selective SSM foresees of each residual, (n, M), and whether it was kept."""
    inputs = np.hstack([scaled, np.clip(residual, -9.0, 9.0)])
    config = ResidualConfig(basis=1, training=TrainingConfig())
    learnt = int(0.7 * (train - 1))
    model = SelectiveResidual(config).fit(
        inputs[:train],
        lambda origins: residual[np.asarray(origins) + 1][:, None, :],
        train_rows=np.arange(learnt),
        valid_rows=np.arange(learnt, train - 1),
        starts=np.array([0]),
        horizon=1,
    )
    ahead = model.expand(model.correct(inputs)[0])[:, 0]
    return np.vstack([np.zeros_like(residual[:1]), ahead[:-1]]), model.kept_


def score(residual: FloatArray, train: int) -> FloatArray:
    """Return the averaged norm under the covariance of the training rows, shrunk by 5 %."""
    covariance = residual[:train].T @ residual[:train] / train
    covariance += np.diag(0.05 * np.diag(covariance) + 1e-3)
    norm = np.einsum("ti,ij,tj->t", residual, np.linalg.inv(covariance), residual)
    return lfilter([0.1], [1.0, -0.9], norm / residual.shape[1])


def vus(series: Series, values: FloatArray, window: int) -> float:
    """Return the VUS-PR of the test rows."""
    test = slice(series.train, None)
    return volume_under_surface(series.labels[test], values[test], window=window).pr


def found_at_1_percent(series: Series, values: FloatArray) -> float:
    """Return the share of faulty rows above what 1 % of the test's normal rows exceed."""
    test, truth = values[series.train :], series.labels[series.train :]
    return float((test[truth] > np.quantile(test[~truth], 0.99)).mean())


def measure(folder: Path, name: str, most: int) -> str:
    """Return a set's row of the table."""
    judge: Callable[[Series, FloatArray], float] = (
        found_at_1_percent
        if name == "tep"
        else lambda series, values: vus(series, values, WINDOW.get(name, 100))
    )
    results, keeps = [], []
    for series in read(folder, name, most):
        if not series.labels[series.train :].any():
            continue
        left, kept = residuals(series)
        results.append([judge(series, score(r, series.train)) for r in left])
        keeps.append(kept)
    figures = " | ".join(f"{value:.3f}" for value in np.mean(results, axis=0))
    measure = "found at 1 %" if name == "tep" else "VUS-PR"
    return f"| {name} | {measure} | {len(keeps)} | {figures} | {sum(keeps)} |"


def main() -> None:
    """Print the table, a set at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default="plant,skab,tep,batadal,smd,smap,nab")
    parser.add_argument("--most", type=int, default=8, help="series of each set")
    given = parser.parse_args()
    sys.stdout.write(f"| set | measure | series | {' | '.join(FORECASTS)} | kept |\n")
    sys.stdout.write("| --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
    for name in given.sets.split(","):
        sys.stdout.write(measure(given.folder, name, given.most) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
