"""The alarm state machine: delays, deadband, one alarm at a time, and a restart that forgets nothing."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sensorssm.errors import ConfigError
from sensorssm_pipelines.alarms import Alarm, AlarmEngine, Evidence, Rule, TagFacts

START = datetime(2026, 1, 5, tzinfo=UTC)
TAGS = [
    TagFacts("flow", "m3/h"),
    TagFacts("pressure", "bar", "Close the valve."),
    TagFacts("level"),
]
THRESHOLD = 3.0
NAN = math.nan


def evidence(
    step: int, score: float, asset: str = "p", shares: tuple[float, ...] = (1, 0, 0)
) -> Evidence:
    values, expected = np.array([40.25, 1.5, 50.0]), np.array([42.0, 1.0, 50.0])
    time = START + timedelta(minutes=5 * step)
    return Evidence(asset, time, score, THRESHOLD, values, expected, np.array(shares, float))


def run(engine: AlarmEngine, scores: list[float], first: int = 0) -> list[tuple[int, str, Alarm]]:
    """Return (step, change, alarm) of every change."""
    steps = ((k, engine.step(evidence(k, score))) for k, score in enumerate(scores, first))
    return [(k, *change) for k, change in steps if change is not None]


def borders(changes: list[tuple[int, str, Alarm]]) -> list[tuple[int, str]]:
    return [(k, change) for k, change, _ in changes if change != "UPDATED"]


def slow_borders(scores: list[float], rule: Rule) -> list[tuple[int, str]]:
    """Say at each step from its whole past whether an alarm opens or clears; no counters."""
    found: list[tuple[int, str]] = []
    is_open, since = False, 0
    for k in range(len(scores)):
        limit, needed = (
            (THRESHOLD - rule.deadband, rule.off_delay) if is_open else (THRESHOLD, rule.on_delay)
        )
        last = scores[max(since, k + 1 - needed) : k + 1]
        holds = all((s <= limit) if is_open else (s > limit) for s in last)  # NaN holds for neither
        if holds and len(last) == needed:
            is_open, since = not is_open, k + 1
            found.append((k, "OPENED" if is_open else "CLEARED"))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_delays_and_deadband_are_those_of_the_definition(seed: int) -> None:
    """On random scores with gaps the machine opens and clears where the slow definition does."""
    rng = random.Random(seed)
    rule = Rule(
        on_delay=rng.randint(1, 4), off_delay=rng.randint(1, 4), deadband=rng.choice([0.0, 0.5])
    )
    scores = [rng.choice([0.0, 2.4, 2.6, 3.0, 3.1, 5.0, NAN]) for _ in range(300)]
    assert borders(run(AlarmEngine(rule, TAGS), scores)) == slow_borders(scores, rule)


@pytest.mark.parametrize("cut", [1, 3, 5, 8])
def test_a_restart_changes_nothing(cut: int) -> None:
    """Timers, blame and the open alarm go through a snapshot: the rest of the run is the same."""
    rule, scores = Rule(on_delay=3, off_delay=3), [4, 4, 4, 5, 4, 1, 1, 4, 1, 1, 1, 4, 4, 4]
    whole = run(AlarmEngine(rule, TAGS), scores)
    engine = AlarmEngine(rule, TAGS)
    before = run(engine, scores[:cut])
    fresh = AlarmEngine(rule, TAGS)
    fresh.restore(json.dumps(json.loads(engine.snapshot())))
    assert before + run(fresh, scores[cut:], first=cut) == whole
    assert borders(whole) == [(2, "OPENED"), (10, "CLEARED"), (13, "OPENED")]


def test_missing_data_neither_clears_nor_opens() -> None:
    engine = AlarmEngine(Rule(on_delay=2, off_delay=2), TAGS)
    assert borders(run(engine, [4, NAN, 4, NAN, 4])) == []
    assert borders(run(engine, [4, 4, *[NAN] * 50, 1, NAN, 1], first=5)) == [(5, "OPENED")]
    assert engine.is_open("p")


def test_assets_do_not_touch_each_other() -> None:
    engine = AlarmEngine(Rule(on_delay=2), TAGS)
    assert engine.step(evidence(0, 9.0, "a")) is None
    assert engine.step(evidence(0, 9.0, "b")) is None
    change = engine.step(evidence(1, 9.0, "a"))
    assert change is not None and change[1].asset == "a"
    assert not engine.is_open("b")


def test_a_cleared_alarm_never_opens_again() -> None:
    """A second excursion is a new alarm with an id of its own, named after its opening."""
    changes = run(AlarmEngine(Rule(), TAGS), [4, 1, 4, 1])
    ids = [alarm.id for _, change, alarm in changes if change == "OPENED"]
    assert ids == ["p:anomaly:2026-01-05T00:00:00Z", "p:anomaly:2026-01-05T00:10:00Z"]
    assert [a.cleared for _, c, a in changes if c == "CLEARED"] == [
        START + timedelta(minutes=5),
        START + timedelta(minutes=15),
    ]


def test_an_alarm_names_who_moved_first_and_who_is_blamed_most() -> None:
    """The first five steps say who moved first; the tags are ranked by the whole excursion."""
    engine = AlarmEngine(Rule(on_delay=2), TAGS)
    shares = [(0.9, 0.1, 0.0)] * 5 + [(0.0, 0.8, 0.2)] * 20
    for k, share in enumerate(shares):
        change = engine.step(evidence(k, 4.0 + 0.01 * k, shares=share))
    assert change is not None
    assert change[1].first_tag == "flow"
    assert json.loads(change[1].tags) == ["pressure", "flow", "level"]


def test_a_tag_without_blame_is_not_named() -> None:
    """Nor is nobody: where nothing can be blamed, as many as one are."""
    changes = run(AlarmEngine(Rule(on_delay=1), TAGS), [5.0])
    assert json.loads(changes[-1][2].tags) == [TAGS[0].name]
    nobody = AlarmEngine(Rule(on_delay=1), TAGS).step(evidence(0, 5.0, shares=(NAN, NAN, NAN)))
    assert nobody is not None and len(json.loads(nobody[1].tags)) == 1


@pytest.mark.parametrize(("peak", "priority"), [(3.5, "low"), (4.0, "medium"), (5.0, "high")])
def test_the_priority_follows_the_peak(peak: float, priority: str) -> None:
    """It rises with the score and never falls while the alarm is open."""
    alarm = run(AlarmEngine(Rule(), TAGS), [3.1, peak, 3.1])[-1][2]
    assert (alarm.priority, alarm.peak_score) == (priority, peak)
    assert alarm.p_value == pytest.approx(10**-peak)


def test_the_message_says_what_was_seen_expected_and_to_do() -> None:
    def message(shares: tuple[float, ...]) -> str:
        change = AlarmEngine(Rule(), TAGS).step(evidence(0, 4.0, shares=shares))
        assert change is not None
        return change[1].message

    assert message((0.9, 0.1, 0)) == (
        "flow reads 40.25 m³/h, expected 42 m³/h. "
        "No other tag explains it: check its transmitter first, then the equipment."
    )
    assert message((0.4, 0.25, 0.35)).endswith(
        "It moved together with level and pressure: check the equipment they share."
    )
    assert message((0, 1, 0)) == "pressure reads 1.5 bar, expected 1 bar. Close the valve."


def test_a_tag_without_a_reading_can_be_blamed() -> None:
    now = evidence(0, 4.0)
    now.values[0] = NAN
    change = AlarmEngine(Rule(), TAGS).step(now)
    assert change is not None and change[1].message.startswith("flow has no reading, expected 42")


def test_a_snapshot_of_another_rule_and_a_senseless_rule_are_refused() -> None:
    with pytest.raises(ConfigError, match="made by rule"):
        AlarmEngine(Rule(on_delay=2), TAGS).restore(AlarmEngine(Rule(), TAGS).snapshot())
    with pytest.raises(ConfigError, match="on_delay 0"):
        Rule(on_delay=0)
    with pytest.raises(ConfigError, match="deadband nan"):
        Rule(deadband=NAN)


def altered(**changes: object) -> str:
    """Return the snapshot of an engine with an open alarm, one asset's memory changed."""
    engine = AlarmEngine(Rule(), TAGS)
    run(engine, [5.0, 6.0])
    content = json.loads(engine.snapshot())
    content["assets"]["p"] |= changes
    return json.dumps(content)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 100_000, '{"rule": {}}', '{"rule": 1, "assets": []}',
        altered(above="2"), altered(steps=-1), altered(below=None), altered(more=1),
        altered(blame=[1.0]), altered(first=[]), altered(blame=[1.0, 2.0, None]),
        altered(blame=[1.0, 2.0, math.inf]), altered(alarm={"id": "x"}),
        altered(alarm={"opened": "yesterday"}),
    ],
)  # fmt: skip
def test_a_hostile_snapshot_is_refused_and_the_engine_stands(text: str) -> None:
    """Whatever a crash or a stranger left in the file, no alarm is made of it."""
    engine = AlarmEngine(Rule(), TAGS)
    run(engine, [5.0])
    before = engine.snapshot()
    with pytest.raises(ConfigError, match=r"not a snapshot|made by rule"):
        engine.restore(text)
    assert engine.snapshot() == before
    engine.restore(altered())
    assert engine.is_open("p")
