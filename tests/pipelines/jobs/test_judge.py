"""Alarms against known faults: found, missed, false, and who was named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from sensorssm_pipelines.jobs import judge
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
HOURS = 7 * 24


def hour(number: float) -> datetime:
    return START + timedelta(hours=number)


def recipe(grace: str = "") -> Recipe:
    text = 'name = "j"\nstore = "s"\n[[sources]]\npath = "p"\nlayout = "wide"\nasset = "a"\n'
    return parse_recipe(f"{text}[split]\nfit = 0.5\n[alarms]\n{grace}", "j.toml")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with one week of hourly scores of one asset and two faults."""
    store = Store(tmp_path)
    store.write_assets(pl.DataFrame({"asset": ["a"]}))
    times = [hour(k) for k in range(HOURS + 1)]
    store.write_scores(
        pl.DataFrame({"time": times}).with_columns(
            asset=pl.lit("a"), model=pl.lit("m"), score=pl.lit(0.0)
        )
    )
    faults = [("leak", "flow", 24, 36), ("stuck", "level", 72, 84)]
    rows = [
        {"asset": "a", "kind": kind, "tag": tag, "started": hour(low), "ended": hour(high)}
        for kind, tag, low, high in faults
    ]
    store.write_labels(pl.DataFrame(rows))
    return store


def raise_alarm(store: Store, opened: float, cleared: float | None, tag: str = "flow") -> None:
    row = {
        "id": f"a:anomaly:{opened}",
        "asset": "a",
        "opened": hour(opened),
        "cleared": None if cleared is None else hour(cleared),
        "first_tag": tag,
    }
    store.write_alarms(pl.DataFrame([row], schema_overrides={"cleared": pl.Datetime("us", "UTC")}))


def test_a_fault_is_found_by_the_first_alarm_that_opens_in_it(store: Store) -> None:
    raise_alarm(store, 26, 27, "flow")
    raise_alarm(store, 30, 31, "level")
    found = judge.run(recipe(), store)
    assert [fault["found"] for fault in found.faults] == [True, False]
    assert found.faults[0]["delay_min"] == 120
    assert (found.found, found.right_tags, found.false_alarms) == (1, 1, 0)


@pytest.mark.parametrize(
    ("opened", "cleared", "is_found"),
    [
        (23.9, 25, False),
        (24, 25, True),
        (35.9, 40, True),
        (36, 40, False),
        (150, None, False),
        (0, None, False),  # open all week: it finds neither fault
    ],
)
def test_an_alarm_is_of_the_fault_it_opened_in_or_false(
    store: Store, opened: float, cleared: float | None, is_found: bool
) -> None:
    raise_alarm(store, opened, cleared)
    found = judge.run(recipe(), store)
    assert found.found == is_found
    assert found.false_alarms == (not is_found)


def test_recovery_within_the_grace_is_neither_found_nor_false(store: Store) -> None:
    raise_alarm(store, 37, 38)
    assert judge.run(recipe('grace = "2h"'), store).false_alarms == 0
    assert judge.run(recipe('grace = "1h"'), store).false_alarms == 1
    assert judge.run(recipe('grace = "2h"'), store).found == 0


def test_normal_time_leaves_out_faults_and_counts_overlaps_once(store: Store) -> None:
    """Seven days less twelve hours twice; a fault inside a fault takes nothing more."""
    inside = {"asset": "a", "kind": "spike", "started": hour(30), "ended": hour(33)}
    store.write_labels(pl.DataFrame([inside]))
    raise_alarm(store, 100, 101)
    found = judge.run(recipe(), store)
    assert found.normal_weeks == pytest.approx((HOURS - 24) / HOURS)
    assert found.false_alarms_per_week == pytest.approx(HOURS / (HOURS - 24))


def test_faults_before_the_scored_span_do_not_count(store: Store) -> None:
    early = {"asset": "a", "kind": "drift", "started": hour(-30), "ended": hour(-20)}
    store.write_labels(pl.DataFrame([early]))
    assert [fault["fault"] for fault in judge.run(recipe(), store).faults] == ["leak", "stuck"]


def test_a_found_fault_tells_what_its_first_tag_read(store: Store) -> None:
    """At the instant the alarm opened, in the tag's unit; a missed fault has nothing to tell."""
    raise_alarm(store, 26, 27, "flow")
    store.write_tags(pl.DataFrame({"asset": ["a"], "tag": ["flow"], "unit": ["m3/h"]}))
    rows = [
        {"asset": "a", "time": hour(at), "tag": tag, "value": value, "expected": 5.0}
        for at, tag, value in [(25, "flow", 1.0), (26, "flow", 2.0), (26, "level", 3.0)]
    ]
    store.write_explanations(pl.DataFrame(rows))
    leak, stuck = judge.run(recipe(), store).faults
    assert (leak["seen"], leak["expected"], leak["unit"]) == (2.0, 5.0, "m3/h")
    assert (stuck["seen"], stuck["expected"], stuck["unit"]) == (None, None, None)


def test_the_most_blamed_tags_are_told_in_order(store: Store) -> None:
    raise_alarm(store, 26, 27, "flow")
    told = store.read_alarms().with_columns(tags=pl.lit('["level", "flow"]'))
    store.write_alarms(told)
    assert [f["top_tags"] for f in judge.run(recipe(), store).faults] == [["level", "flow"], []]
