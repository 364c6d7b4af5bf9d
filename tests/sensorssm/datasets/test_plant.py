"""The simulated plant obeys its physics, its seeds and its labels."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sensorssm.datasets import TAGS, Fault, Plant, simulate_plant
from sensorssm.datasets.tags import NOISE, TAG_INDEX
from sensorssm.errors import ConfigError

DAY = np.timedelta64(1, "D")


@pytest.fixture(scope="module")
def healthy() -> Plant:
    return simulate_plant(days=15, faults=None, seed=3)


def tag(plant: Plant, name: str, asset: str = "skid-1") -> np.ndarray:
    return plant.values[asset][:, TAG_INDEX[name]]


def test_flow_settles_at_the_load(healthy: Plant) -> None:
    """Over two weeks the tank gives what it got: mean flow equals mean load."""
    # The feed wanders by 1.2 % with a memory of 25 minutes: 0.1 % over two weeks.
    assert tag(healthy, "flow").mean() == pytest.approx(
        tag(healthy, "load_setpoint").mean(), rel=0.004
    )


@pytest.mark.parametrize(
    ("name", "mean_within", "always_within"),
    [("tank_level", 0.2, 8.0), ("product_out_temperature", 0.05, 1.5)],
)
def test_controllers_hold_their_setpoints(
    healthy: Plant, name: str, mean_within: float, always_within: float
) -> None:
    """Reset takes the mean error to zero and load steps do not throw the loop off."""
    values = tag(healthy, name)
    wanted = 55.0 if name == "tank_level" else np.median(values)
    assert abs(values.mean() - wanted) < mean_within
    assert np.abs(values - wanted).max() < always_within


def test_pump_draws_more_at_more_load(healthy: Plant) -> None:
    """Motor current and suction pressure follow the flow, one up and one down."""
    flow = tag(healthy, "flow")
    assert np.corrcoef(flow, tag(healthy, "motor_current"))[0, 1] > 0.95
    assert np.corrcoef(flow, tag(healthy, "suction_pressure"))[0, 1] < -0.8


def test_energy_of_product_and_water_balances(healthy: Plant) -> None:
    """Heat given by the product equals heat taken by the water, flow from valve position."""
    given = tag(healthy, "flow") * (
        tag(healthy, "product_in_temperature") - tag(healthy, "product_out_temperature")
    )
    rise = tag(healthy, "water_out_temperature") - tag(healthy, "water_in_temperature")
    water = given / rise
    # Equal percentage: log flow is linear in the stem with slope log(30) per 100 %.
    slope, _ = np.polyfit(tag(healthy, "water_valve_position"), np.log(water), 1)
    assert slope == pytest.approx(np.log(30.0) / 100.0, rel=0.03)


def test_humidity_falls_in_the_afternoon(healthy: Plant) -> None:
    """Dew point changes slowly, so warm hours are dry hours."""
    hour = healthy.time.astype("datetime64[h]").astype(int) % 24
    humidity = tag(healthy, "ambient_humidity")
    assert humidity[hour == 15].mean() < humidity[hour == 4].mean() - 10.0


def test_weekends_run_at_lower_load() -> None:
    """Every weekday's day shift runs above both days of the weekend; 2026-01-05 is a Monday."""
    plant = simulate_plant(days=56, period="15min", faults=None)
    hours = (plant.time - plant.time[0]) // np.timedelta64(1, "h")
    by_day = (hours // 24) % 7
    morning = (hours % 24 >= 7) & (hours % 24 < 14)
    load = tag(plant, "load_setpoint")
    means = [load[morning & (by_day == day)].mean() for day in range(7)]
    assert min(means[:5]) > 1.15 * max(means[5:])


def test_feed_temperature_wanders_as_much_as_it_should() -> None:
    """1.3 K at the door, a little less behind the tank, whatever the period."""
    for period in ("2min", "20min"):
        plant = simulate_plant(days=90, period=period, faults=None, assets=3)
        spread = np.mean([tag(plant, "product_in_temperature", a).std() for a in plant.assets])
        # A memory of 5 h behind a tank of about 0.55 h: sqrt(5 / 5.55) of 1.3 K.
        assert spread == pytest.approx(1.23, rel=0.12)


def test_transmitters_of_two_assets_have_noise_of_their_own(healthy: Plant) -> None:
    """Both read the same cooling water; what their second differences leave is unrelated."""
    one, other = (
        np.diff(tag(healthy, "water_in_temperature", asset), 2) for asset in healthy.assets
    )
    assert one.std() > 0
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


def test_noise_is_what_the_transmitters_are_said_to_have(healthy: Plant) -> None:
    """Second differences of a slow signal leave the measurement noise."""
    for name in ("water_in_temperature", "product_in_temperature"):
        rough = np.diff(tag(healthy, name), 2).std() / np.sqrt(6.0)
        assert rough == pytest.approx(NOISE[TAG_INDEX[name]], rel=0.15)


def test_readings_stay_in_range_and_are_never_missing() -> None:
    """Every reading is finite, inside its transmitter's range and rounded as stored."""
    plant = simulate_plant(days=20, assets=3, seed=11)
    for values in plant.values.values():
        assert values.shape == (len(plant.time), len(TAGS))
        assert values.dtype == np.float64
        assert values.flags.c_contiguous
        assert np.isfinite(values).all()
        assert (values >= [each.low for each in TAGS]).all()
        assert (values <= [each.high for each in TAGS]).all()
        np.testing.assert_array_equal(values, np.round(values, 3))


def test_a_seed_is_a_plant() -> None:
    """The same seed gives the same bits, another seed another plant, and assets differ."""
    one, same = simulate_plant(days=4, seed=5), simulate_plant(days=4, seed=5)
    other = simulate_plant(days=4, seed=6)
    assert one.faults == same.faults
    assert one.faults != other.faults
    for asset in one.assets:
        np.testing.assert_array_equal(one.values[asset], same.values[asset])
        assert not np.allclose(one.values[asset], other.values[asset], rtol=0.01)
    assert not np.allclose(one.values["skid-1"], one.values["skid-2"], rtol=0.01)


def test_more_assets_leave_the_first_ones_alone() -> None:
    """An asset does not depend on how many others there are, but for the sky they share."""
    two = simulate_plant(days=2, assets=2, faults=None)
    three = simulate_plant(days=2, assets=3, faults=None)
    np.testing.assert_array_equal(two.values["skid-2"], three.values["skid-2"])
    np.testing.assert_allclose(
        tag(three, "ambient_humidity"), tag(three, "ambient_humidity", "skid-3"), atol=5.0
    )


def test_default_faults_leave_the_first_part_normal() -> None:
    """Sixty per cent are free of faults, then labels and faults agree."""
    plant = simulate_plant(seed=2)
    before = plant.time < plant.normal_until
    assert before.mean() == pytest.approx(0.6, abs=0.001)
    for asset in plant.assets:
        labels = plant.labels(asset)
        assert not labels[before].any()
        own = [fault for fault in plant.faults if fault.asset == asset]
        period = plant.time[1] - plant.time[0]
        assert labels.sum() == sum((fault.ended - fault.started) // period for fault in own)


def test_a_healthy_plant_is_normal_to_its_end() -> None:
    """Without faults the normal part is everything."""
    plant = simulate_plant(days=1, faults=None)
    assert plant.faults == ()
    assert plant.normal_until > plant.time[-1]
    assert not plant.labels("skid-1").any()


def test_own_faults_end_the_normal_part_at_the_first() -> None:
    """`normal_until` is the start of the earliest fault, in whatever order they are given."""
    start = np.datetime64("2026-01-06", "ns")
    faults = [
        Fault("skid-2", "leak", "flow", start + DAY, start + 2 * DAY),
        Fault("skid-1", "stuck", "flow", start, start + DAY),
    ]
    plant = simulate_plant(days=4, faults=faults)
    assert plant.normal_until == start
    assert [fault.kind for fault in plant.faults] == ["stuck", "leak"]


@pytest.mark.parametrize("assets", [1, 9])
@pytest.mark.parametrize("period", ["7s", "1min", "13min", "1h"])
def test_odd_sizes(assets: int, period: str) -> None:
    """One asset or more than faults, and periods that divide neither the hour nor the step."""
    days = {"7s": 0.1, "1min": 1, "13min": 3, "1h": 12}[period]
    plant = simulate_plant(assets=assets, days=days, period=period)
    seconds = np.diff(plant.time) / np.timedelta64(1, "s")
    assert (seconds == plant.period_s).all()
    assert len(plant.time) == days * 86400 // plant.period_s
    assert len(plant.faults) == 8
    assert all(np.isfinite(values).all() for values in plant.values.values())
    assert all(plant.labels(fault.asset).any() for fault in plant.faults)


def test_the_period_does_not_change_the_physics() -> None:
    """Coarse rows see the same plant: equal means and spreads, not equal readings."""
    fine = simulate_plant(days=28, period="1min", faults=None, assets=1)
    coarse = simulate_plant(days=28, period="15min", faults=None, assets=1)
    for name in ("flow", "motor_current", "water_valve_position"):
        one, other = tag(fine, name), tag(coarse, name)
        # Loads and weather are drawn anew, so agreement is within a few per cent.
        assert one.mean() == pytest.approx(other.mean(), rel=0.08)
        assert one.std() == pytest.approx(other.std(), rel=0.35)


def test_the_smallest_plant() -> None:
    """Two rows are enough; one is refused."""
    assert len(simulate_plant(days=0.01, period="5min", faults=None).time) == 2
    with pytest.raises(ConfigError, match="rows"):
        simulate_plant(days=0.004, period="5min", faults=None)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"assets": 0}, "at least one asset"),
        ({"period": "5 minutes"}, "period must be"),
        ({"period": "0s"}, "period must be"),
        ({"days": -1}, "rows"),
        ({"days": float("nan")}, "rows"),
        ({"days": float("inf")}, "rows"),
        ({"days": 1e7, "period": "1s"}, "864,000,000,000 rows"),
        ({"start": "yesterday"}, "start must be a date"),
        ({"start": "3000-01-01"}, "start must be a date"),
        ({"start": "2261-12-20"}, "beyond the year 2261"),
        ({"faults": "all"}, "faults must be"),
        ({"days": 0.2}, "more days"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_settings_are_refused(settings: dict, says: str) -> None:
    """The message names the setting, what was found and what is wanted."""
    with pytest.raises(ConfigError, match=says):
        simulate_plant(**settings)


def test_a_start_with_an_offset_is_told_in_utc() -> None:
    early = simulate_plant(days=0.01, faults=None, start="2026-01-05T01:00+02:00")
    assert early.time[0] == np.datetime64("2026-01-04T23:00")


def test_labels_of_an_unknown_asset() -> None:
    """A typo in an asset's name is an error with the names that exist."""
    with pytest.raises(ConfigError, match="skid-1"):
        simulate_plant(days=1, faults=None).labels("skid1")


def test_the_library_of_data_sets_loads_without_a_compiler() -> None:
    """Importing it needs numpy alone: numba comes with the first simulation."""
    code = "import sys, sensorssm.datasets; print(*{'numba', 'torch', 'polars'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
