"""Faults act where they are said to, when they are said to, and nowhere before."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sensorssm.datasets import FAULT_KINDS, TAGS, Fault, Plant, simulate_plant
from sensorssm.datasets.faults import EQUIPMENT_TAGS, growth
from sensorssm.datasets.tags import NOISE, TAG_INDEX
from sensorssm.errors import ConfigError, UnknownTagError

HOUR = np.timedelta64(3600, "s")
STARTED = np.datetime64("2026-01-06T03:00", "ns")
SENSOR_TAG = "discharge_pressure"


def make_fault(kind: str, hours: int = 24) -> Fault:
    return Fault(
        "skid-1", kind, EQUIPMENT_TAGS.get(kind, SENSOR_TAG), STARTED, STARTED + hours * HOUR
    )


def run(*faults: Fault) -> Plant:
    return simulate_plant(days=4, faults=faults or None)


@pytest.fixture(scope="module")
def healthy() -> Plant:
    return run()


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_a_fault_moves_its_tag_and_nothing_before_it(healthy: Plant, kind: str) -> None:
    """Bit for bit the healthy plant until it starts; then its tag leaves the noise behind."""
    fault = make_fault(kind)
    faulty = run(fault)
    before = faulty.time < fault.started
    during = faulty.labels("skid-1")
    np.testing.assert_array_equal(faulty.values["skid-1"][before], healthy.values["skid-1"][before])
    np.testing.assert_array_equal(faulty.values["skid-2"], healthy.values["skid-2"])
    column = TAG_INDEX[fault.tag]
    moved = faulty.values["skid-1"][during, column] - healthy.values["skid-1"][during, column]
    assert np.sqrt(np.mean(moved**2)) > 5.0 * NOISE[column]


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_a_plant_recovers_within_a_day(healthy: Plant, kind: str) -> None:
    """After the repair every tag comes back to the healthy plant's."""
    fault = make_fault(kind)
    faulty = run(fault)
    after = faulty.time >= fault.ended + 24 * HOUR
    gap = faulty.values["skid-1"][after] - healthy.values["skid-1"][after]
    # A sticking stem may rest elsewhere in its healthy friction band for good.
    assert (np.abs(gap.mean(axis=0)) <= np.maximum(0.5 * NOISE, 0.02)).all()


@pytest.mark.parametrize(
    ("kind", "name", "sign"),
    [
        ("leak", "flow", -1),
        ("leak", "valve_position", -1),
        ("fouling", "water_valve_position", 1),
        ("fouling", "water_out_temperature", -1),
        ("cavitation", "suction_pressure", -1),
        ("cavitation", "discharge_pressure", -1),
        ("cavitation", "vibration", 1),
        ("bearing", "vibration", 1),
        ("bearing", "motor_current", 1),
    ],
)
def test_faults_work_through_the_physics(healthy: Plant, kind: str, name: str, sign: int) -> None:
    """Neighbouring tags move the way the process says."""
    faulty = run(make_fault(kind))
    during, column = faulty.labels("skid-1"), TAG_INDEX[name]
    moved = faulty.values["skid-1"][during, column] - healthy.values["skid-1"][during, column]
    assert sign * moved.mean() > NOISE[column] / 2


def test_a_stuck_transmitter_repeats_its_last_reading() -> None:
    """The value shown before the fault stays, to the last bit."""
    plant = run(make_fault("stuck"))
    values, during = plant.values["skid-1"][:, TAG_INDEX[SENSOR_TAG]], plant.labels("skid-1")
    last = values[np.flatnonzero(during)[0] - 1]
    assert (values[during] == last).all()
    assert len(np.unique(values[~during])) > 50


def test_a_stuck_tag_at_the_first_row_holds_from_there() -> None:
    """Nothing was shown before the first row, so that row is what stays."""
    start = np.datetime64("2026-01-05", "ns")
    fault = Fault("skid-1", "stuck", "flow", start, start + 6 * HOUR)
    plant = run(fault)
    held = plant.values["skid-1"][plant.labels("skid-1"), TAG_INDEX["flow"]]
    assert np.isfinite(held).all()
    assert len(np.unique(held)) == 1


def test_controllers_believe_a_drifting_transmitter(healthy: Plant) -> None:
    """The level that is shown stays at its set-point while the flow empties the tank."""
    fault = replace(make_fault("drift"), tag="tank_level")
    faulty = run(fault)
    during = faulty.labels("skid-1")
    level, flow = (faulty.values["skid-1"][during, TAG_INDEX[n]] for n in ("tank_level", "flow"))
    assert abs(level.mean() - 55.0) < 1.5  # shown up to 5 % too high, yet held at 55 %
    assert flow.mean() > healthy.values["skid-1"][during, TAG_INDEX["flow"]].mean()


def test_a_sticking_valve_hunts(healthy: Plant) -> None:
    """The stem rests, then jumps: still for most rows, with jumps the healthy valve never makes."""
    faulty = run(make_fault("stiction"))
    during, column = faulty.labels("skid-1"), TAG_INDEX["valve_position"]
    stem, smooth = faulty.values["skid-1"][during, column], healthy.values["skid-1"][during, column]
    jumps = np.abs(np.diff(stem)) > 3.5
    assert 4 <= jumps.sum() <= 60
    assert jumps.sum() > 2 * (np.abs(np.diff(smooth)) > 3.5).sum()


def test_severity_scales_a_fault(healthy: Plant) -> None:
    """Half as bad moves the tag about half as far."""
    column = TAG_INDEX["flow"]

    def lost(severity: float) -> float:
        faulty = run(replace(make_fault("leak"), severity=severity))
        return float((healthy.values["skid-1"] - faulty.values["skid-1"])[:, column].sum())

    assert lost(0.5) == pytest.approx(0.5 * lost(1.0), rel=0.05)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_a_catastrophe_keeps_its_numbers(kind: str) -> None:
    """A tank run dry, a blind suction, a blocked cooler: readings stay finite and in range."""
    values = run(replace(make_fault(kind), severity=40.0)).values["skid-1"]
    assert np.isfinite(values).all()
    assert (values >= [each.low for each in TAGS]).all()
    assert (values <= [each.high for each in TAGS]).all()


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_growth_keeps_to_its_interval(kind: str) -> None:
    """Zero before the start and from the end on, positive between, never above severity."""
    fault = replace(make_fault(kind), severity=2.0)
    time = STARTED + np.arange(-60, 60 * 26) * np.timedelta64(60, "s")
    grown = growth(fault, time)
    active = (time >= fault.started) & (time < fault.ended)
    assert (grown[~active] == 0).all()
    assert (grown[active][1:] > 0).all()
    assert 1.0 < grown.max() <= 2.0


@pytest.mark.parametrize("seed", range(5))
def test_default_faults_are_apart(seed: int) -> None:
    """All eight kinds, each on one asset, with a day of normal operation between two."""
    plant = simulate_plant(seed=seed, period="1h")
    assert sorted(fault.kind for fault in plant.faults) == sorted(FAULT_KINDS)
    for asset in plant.assets:
        own = [fault for fault in plant.faults if fault.asset == asset]
        assert len(own) == 4
        assert own[0].started >= plant.normal_until
        assert own[-1].ended + 24 * HOUR <= plant.time[-1]
        for one, following in pairwise(own):
            assert one.ended + 24 * HOUR <= following.started


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"kind": "gremlin"}, ConfigError, "gremlin"),
        ({"asset": "skid-9"}, ConfigError, "skid-9"),
        ({"tag": "flwo"}, UnknownTagError, "flow"),
        ({"tag": "vibration"}, ConfigError, "shows on tag 'flow'"),
        ({"ended": STARTED}, ConfigError, "ends"),
        ({"started": STARTED - 99 * HOUR}, ConfigError, "outside the plant's record"),
        ({"severity": 0.0}, ConfigError, "severity"),
        ({"severity": float("nan")}, ConfigError, "severity"),
    ],
)
def test_impossible_faults_are_refused(change: dict, error: type, says: str) -> None:
    """What cannot happen is named, with what could."""
    with pytest.raises(error, match=says):
        run(replace(make_fault("leak"), **change))
