"""The compiled skid: its balance closes and its laws are the textbook's."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.datasets import Fault
from sensorssm.datasets import equipment as law
from sensorssm.datasets.plant import make_grid
from sensorssm.datasets.site import Site
from sensorssm.datasets.tags import LEVEL


@pytest.mark.parametrize("leaking", [False, True])
def test_mass_balance_closes(leaking: bool) -> None:
    """Volume at the end equals volume at the start plus feed minus flow minus losses."""
    time = make_grid("2026-01-05", 3, 300)
    faults = (Fault("skid-1", "leak", "flow", time[200], time[500]),) if leaking else ()
    _, ledger = Site(0, time, 300.0, faults).run(0, "skid-1")
    fed, pumped, lost, volume = ledger.T
    # 25 920 steps in float64 on volumes of 20 m3.
    np.testing.assert_allclose(np.diff(volume), (fed - pumped - lost)[1:], atol=1e-10)
    assert (lost.sum() > 10.0) == leaking
    assert (lost[:200] == 0).all()


def test_the_level_shown_is_the_volume_kept() -> None:
    """The transmitter's level follows the ledger's volume up to lag, noise and rounding."""
    time = make_grid("2026-01-05", 3, 300)
    readings, ledger = Site(4, time, 300.0, ()).run(0, "skid-1")
    share = readings[:, LEVEL] / ledger[:, 3]
    assert share.std() / share.mean() < 0.003


def test_an_equal_percentage_valve_gains_equal_shares() -> None:
    """Every 10 % of travel multiplies the size by the same factor; open is the full size."""
    sizes = [law.valve_size(stem, 98.0, 30.0) for stem in range(10, 101, 10)]
    np.testing.assert_allclose(np.diff(np.log(sizes)), np.log(30.0) / 10)
    assert sizes[-1] == pytest.approx(98.0)


@pytest.mark.parametrize(("celsius", "bar"), [(20.0, 0.0234), (60.0, 0.1994), (100.0, 1.0133)])
def test_vapour_pressure_of_water(celsius: float, bar: float) -> None:
    """Steam tables, to the half per cent of Antoine's equation."""
    assert law.vapour_pressure(celsius) == pytest.approx(bar, rel=0.005)


@pytest.mark.parametrize(("product", "water"), [(40.0, 60.0), (60.0, 40.0), (40.0, 40.0)])
def test_heat_duty_agrees_with_the_log_mean_difference(product: float, water: float) -> None:
    """A third way: UA times the log mean temperature difference at the outlets found."""
    duty = law.heat_duty(product, water, 50.0, 62.0, 15.0)
    hot_out = 62.0 - duty / (law.KW_PER_K * product)
    cold_out = 15.0 + duty / (law.KW_PER_K * water)
    one, other = 62.0 - cold_out, hot_out - 15.0
    mean = one if one == pytest.approx(other) else (one - other) / np.log(one / other)
    assert duty == pytest.approx(50.0 * mean, rel=1e-6)


def test_efficiency_moves_with_the_speed() -> None:
    """Affinity: flow and best flow scale together, so the best efficiency stays."""
    assert law.pump_efficiency(44.0, 1.0, 44.0, 0.72) == pytest.approx(0.72)
    assert law.pump_efficiency(33.0, 0.75, 44.0, 0.72) == pytest.approx(0.72)
    assert law.pump_efficiency(33.0, 1.0, 44.0, 0.72) < 0.70


def test_cavitation_starts_when_the_suction_collapses() -> None:
    """None at a flooded suction, full at deep vacuum, monotone between."""
    grown = [law.cavitating(p, 62.0, 40.0, 2.0, 0.0008) for p in np.linspace(0.4, -0.7, 23)]
    assert grown[0] < 1e-6
    assert grown[-1] > 0.99
    assert (np.diff(grown) >= 0).all()


def test_a_sticking_valve_waits_then_jumps() -> None:
    """It stays inside the friction band and takes the whole demand outside."""
    assert law.slip(50.0, 53.9, 4.0) == 50.0
    assert law.slip(50.0, 54.1, 4.0) == 54.1
    assert law.slip(50.0, 45.9, 4.0) == 45.9


def test_the_controller_stops_its_integral_at_a_limit() -> None:
    """After an hour at the limit it leaves at once when the error turns."""
    integral = 50.0
    for _ in range(360):
        output, integral = law.control(30.0, integral, 2.0, 100.0, 10.0)
    assert output == 100.0
    output, _ = law.control(-1.0, integral, 2.0, 100.0, 10.0)
    assert output < 100.0
