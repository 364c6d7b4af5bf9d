"""Job: hold the alarms of a store against its known faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from sensorssm_pipelines.periods import parse_period
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class JudgeReport:
    """What became of each known fault, and what was cried without one.

    `faults` has one row a fault in the scored span: fault, asset, tag, started, found, delay_min,
    first_tag, right_tag. `normal_weeks` is the scored time of all assets outside faults.
    """

    faults: list[dict[str, Any]]
    false_alarms: int
    normal_weeks: float

    @property
    def found(self) -> int:
        return sum(fault["found"] for fault in self.faults)

    @property
    def right_tags(self) -> int:
        return sum(fault["right_tag"] for fault in self.faults)

    @property
    def false_alarms_per_week(self) -> float:
        return self.false_alarms / self.normal_weeks if self.normal_weeks else 0.0


def run(recipe: Recipe, store: Store) -> JudgeReport:
    """Judge the alarms in the store.

    An alarm belongs to the fault during which it opened. One that was open already finds nothing:
    a detector that always cries would find everything.
    """
    grace = parse_period(recipe.alarms.grace) if recipe.alarms.grace else timedelta()
    faults, false, normal = [], 0, timedelta()
    for asset in store.assets():
        times = store.read_scores(asset)["time"]
        if times.is_empty():
            continue
        begin, end = _moment(times.min()), _moment(times.max())
        labels = store.read_labels(asset).filter(pl.col("ended") > begin, pl.col("started") <= end)
        alarms = store.read_alarms(asset).sort("opened")
        faults += [_judge(label, alarms) for label in labels.iter_rows(named=True)]
        false += sum(_is_false(opened, labels, grace) for opened in alarms["opened"])
        normal += (end - begin) - _covered(labels, begin, end)
    faults.sort(key=lambda fault: fault["started"])
    return JudgeReport(faults, false, normal / _WEEK)


def _judge(label: dict[str, Any], alarms: pl.DataFrame) -> dict[str, Any]:
    during = alarms.filter(
        pl.col("opened").is_between(label["started"], label["ended"], closed="left")
    )
    first = during.row(0, named=True) if during.height else None
    late = None if first is None else first["opened"] - label["started"]
    return {
        "fault": label["kind"],
        "asset": label["asset"],
        "tag": label["tag"],
        "started": label["started"],
        "found": first is not None,
        "delay_min": None if late is None else late / timedelta(minutes=1),
        "first_tag": None if first is None else first["first_tag"],
        "right_tag": first is not None and first["first_tag"] == label["tag"],
    }


def _is_false(opened: datetime, labels: pl.DataFrame, grace: timedelta) -> bool:
    """Return whether an alarm opened outside every fault and its recovery."""
    inside = (pl.col("started") <= opened) & (pl.col("ended") + grace > opened)
    return labels.filter(inside).is_empty()


def _covered(labels: pl.DataFrame, begin: datetime, end: datetime) -> timedelta:
    """Return how much of [begin, end) the labels cover, counting overlaps once."""
    total, reached = timedelta(), begin
    for started, ended in labels.sort("started").select("started", "ended").iter_rows():
        low, high = max(started, reached), min(ended, end)
        if high > low:
            total += high - low
            reached = high
    return total


def _moment(value: Any) -> datetime:
    assert isinstance(value, datetime)
    return value
