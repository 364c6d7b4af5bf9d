"""Job: hold the alarms of a store against its known faults."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from sensorssm_pipelines.alarms import match_faults
from sensorssm_pipelines.periods import parse_period
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import SHELVED, Store

_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class JudgeReport:
    """What became of each known fault, and what was cried without one.

    `faults` has one row a fault in the scored span: fault, asset, tag, started, ended, found,
    delay_min, first_tag, right_tag, top_tags, and what the first tag read and should have read when
    the alarm opened: seen, expected, unit. `normal_weeks` is the scored time of all assets outside
    faults and shelves; shelved alarms count as none.
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
    """Judge the alarms in the store; `match_faults` says what is found."""
    grace = parse_period(recipe.alarms.grace) if recipe.alarms.grace else timedelta()
    labels, alarms = (
        store.read_labels(),
        store.read_alarms().filter(pl.col("state").ne_missing(SHELVED)),
    )
    spans = ("asset", "started", "ended")
    unjudged = pl.concat([labels.select(spans), store.read_shelves().select(spans)])
    scored = store.spans("scores")
    matched = match_faults(labels, alarms, scored)
    false, normal = 0, timedelta()
    for asset, begin, end in scored.iter_rows():
        known = unjudged.filter(pl.col("asset") == asset)
        opened = alarms.filter(pl.col("asset") == asset)["opened"]
        false += sum(_is_false(time, known, grace) for time in opened)
        normal += (end - begin) - _covered(known, begin, end)
    faults = [_told(store, fault) for fault in matched.iter_rows(named=True)]
    return JudgeReport(faults, false, normal / _WEEK)


def _told(store: Store, fault: dict[str, Any]) -> dict[str, Any]:
    """Return a fault as the report tells it."""
    return {
        "fault": fault["kind"],
        **{name: fault[name] for name in ("asset", "tag", "started", "ended", "found")},
        "delay_min": fault["late"] / timedelta(minutes=1) if fault["found"] else None,
        "first_tag": fault["first_tag"],
        "right_tag": fault["found"] and fault["first_tag"] == fault["tag"],
        "top_tags": json.loads(fault["tags"] or "[]"),
        **_reading(store, fault),
    }


def _reading(store: Store, fault: dict[str, Any]) -> dict[str, Any]:
    """Return what the first tag read and should have read when the alarm opened."""
    nothing = {"seen": None, "expected": None, "unit": None}
    if not fault["found"]:
        return nothing
    at, tag = fault["opened"], pl.col("tag") == fault["first_tag"]
    rows = store.read_explanations(fault["asset"], at, at + timedelta(microseconds=1)).filter(tag)
    if rows.is_empty():
        return nothing
    unit = store.read_tags(fault["asset"]).filter(tag)["unit"].to_list()
    found = rows.row(0, named=True)
    return {"seen": found["value"], "expected": found["expected"], "unit": next(iter(unit), None)}


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
