"""What people said of alarms, row by row, and how it moves a detector's threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm.names import TIME

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector

FAULT = "fault"


def kinds_of(times: pl.Series, said: pl.DataFrame) -> NDArray[np.object_]:
    """Return what was said of each row: a kind, or "" where nothing was, (n,).

    `said` holds started, ended (null: it goes on) and kind; the last one said of a row counts.
    """
    kinds = np.full(times.len(), "", dtype=object)
    for started, ended, kind in said.sort("time").select("started", "ended", "kind").iter_rows():
        inside = times >= started if ended is None else times.is_between(started, ended, "left")
        kinds[inside.to_numpy()] = kind
    return kinds


def adjusted(detector: SSMDetector, readings: pl.DataFrame, said: pl.DataFrame) -> SSMDetector:
    """Return the detector with its threshold moved by what people said of alarms in `readings`."""
    kinds = kinds_of(readings[TIME], said)
    return detector.adjust(readings, kinds) if kinds.any() else detector


def moved_by(detectors: Mapping[str, SSMDetector | None]) -> dict[str, tuple[float, float]]:
    """Return the fitted and the moved threshold of each asset whose labels moved it."""
    return {
        asset: (detector.fitted_threshold_, detector.threshold_)
        for asset, detector in detectors.items()
        if detector is not None and detector.threshold_ != detector.fitted_threshold_
    }
