"""Measures of public sets that no recipe can hold: their truth is more than a column of labels.

    python docs/scripts/public_measures.py /path/to/data/anomaly

- *skab*: its changepoint score: a window of 60 s after each changepoint, a word wherever an alarm
  begins or ends. Fitted on the first 400 rows of each experiment, the others judged.
- *smd*: Hit@150 % of the root causes, the mean of the machines, each fitted on its first half.
- *tsb-ad*: VUS-PR of the rows of SMAP and SMD that TSB-AD judges, fitted on as many of the first
  as TSB-AD gives, every row judged; the window is the season of the first tag.

Default settings; no threshold has seen a label. The folder holds a Parquet file a series in folders
skab, smd and smap, and in each ``meta.json``: of every series `root_causes_1based` (first and last
row of the judged half, and the tags) and `tsbad` (`train_rows`), where there are any.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm import SSMDetector
from sensorssm.evaluation.anomaly import volume_under_surface
from sensorssm.evaluation.causes import causes_found
from sensorssm.evaluation.changepoints import changepoint_score, turns_of

FloatArray = NDArray[np.float64]

NOT_TAGS = ("timestamp", "label", "split", "changepoint")
SMD_MACHINES = ("machine-1-6", "machine-3-4")
NO_SEASON = 125  # rows of TSB-AD's window where the first tag has none


def values_of(frame: pl.DataFrame) -> FloatArray:
    """Return the tags (n, M)."""
    return frame.drop(NOT_TAGS, strict=False).to_numpy().astype(np.float64)


def known_of(folder: Path) -> dict[str, Any]:
    """Return what is known of each series of a set."""
    return json.loads((folder / "meta.json").read_text(encoding="utf-8"))["series"]


def skab(folder: Path) -> tuple[str, float, int]:
    """Return the changepoint score of all experiments together."""
    files = []
    for file in sorted((folder / "skab").glob("*.parquet")):
        if file.stem == "anomaly_free":
            continue
        frame = pl.read_parquet(file)
        values, train = values_of(frame), frame.filter(split="train").height
        told = turns_of((SSMDetector().fit(values[:train]).predict(values) == -1)[train:])
        files.append((frame["timestamp"][train:], frame["changepoint"][train:], told))
    return "changepoints", changepoint_score(files), len(files)


def smd(folder: Path) -> tuple[str, float, int]:
    """Return the share of root causes among the tags most blamed."""
    known, found = known_of(folder / "smd"), []
    for name in SMD_MACHINES:
        frame = pl.read_parquet(folder / "smd" / f"{name}.parquet")
        values, train = values_of(frame), frame.filter(split="train").height
        blamed = SSMDetector().fit(values[:train]).explain(values)[train:]
        causes = [
            (first, last + 1, {tag - 1 for tag in tags})
            for first, last, tags in known[name]["root_causes_1based"]
        ]
        found.append(causes_found(blamed, causes))
    return "Hit@150 %", float(np.mean(found)), len(found)


def tsb_ad(folder: Path) -> tuple[str, float, int]:
    """Return the mean VUS-PR of the series that TSB-AD has."""
    volumes = [
        volume_under_surface(labels, scores, window=season_of(values[:, 0])).pr
        for values, labels, scores in _tsb_ad_scores(folder)
    ]
    return "VUS-PR", float(np.mean(volumes)), len(volumes)


def _tsb_ad_scores(folder: Path) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    for name in ("smap", "smd"):
        for series, known in sorted(known_of(folder / name).items()):
            if known.get("tsbad"):
                frame = pl.read_parquet(folder / name / f"{series}.parquet").filter(split="test")
                values = values_of(frame)
                model = SSMDetector().fit(values[: known["tsbad"]["train_rows"]])
                yield values, frame["label"].to_numpy(), model.anomaly_score(values)


def season_of(series: FloatArray) -> int:
    """Return TSB-AD's window: the highest peak of the autocorrelation (n,) at 3 to 300 rows."""
    centred = series[:20_000] - series[:20_000].mean()
    if len(centred) < 10 or not centred.any():
        return NO_SEASON
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    alike = np.fft.irfft(np.abs(spectrum) ** 2)[3 : min(401, len(centred))]
    peaks = 1 + np.flatnonzero((alike[1:-1] > alike[:-2]) & (alike[1:-1] > alike[2:]))
    best = int(peaks[np.argmax(alike[peaks])]) if len(peaks) else 0
    return best + 3 if 3 <= best <= 300 else NO_SEASON


SETS: dict[str, Callable[[Path], tuple[str, float, int]]] = {
    "skab": skab,
    "smd": smd,
    "tsb-ad": tsb_ad,
}


def main() -> None:
    """Print the table, a set at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    given = parser.parse_args()
    sys.stdout.write("| set | measure | value | series |\n| --- | --- | ---: | ---: |\n")
    for name in given.sets.split(","):
        measure, value, series = SETS[name](given.folder)
        sys.stdout.write(f"| {name} | {measure} | {value:.3f} | {series} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
