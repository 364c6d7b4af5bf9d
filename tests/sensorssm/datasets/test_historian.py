"""A historian's export is dirty in the ways its account says, and in no other."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from sensorssm.datasets import (
    ExportRates,
    Plant,
    account_export,
    historian_export,
    simulate_plant,
    write_historian_csv,
)
from sensorssm.errors import ConfigError
from sensorssm.names import READING, Quality

CLEAN = ExportRates(
    exact_duplicates=0, conflicting_duplicates=0, late=0, bad_plausible=0, bad_nan=0,
    uncertain=0, tag_gaps_per_week=0, asset_gaps_per_week=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def plant() -> Plant:
    return simulate_plant(days=7, faults=None)


def keys(columns: dict) -> list[tuple]:
    return list(
        zip(
            columns["asset"].tolist(),
            columns["tag"].tolist(),
            columns["time"].astype(np.int64).tolist(),
            strict=True,
        )
    )


def truth(plant: Plant) -> dict[tuple, float]:
    return {
        (asset, tag.name, int(time)): value
        for asset, values in plant.values.items()
        for time, row in zip(plant.time.astype(np.int64), values.tolist(), strict=True)
        for tag, value in zip(plant.tags, row, strict=True)
    }


def test_a_clean_export_is_the_plant(plant: Plant) -> None:
    """With every rate at zero each reading is there once, Good and exact."""
    columns = historian_export(plant, rates=CLEAN)
    assert list(columns) == list(READING)
    assert dict(zip(keys(columns), columns["value"].tolist(), strict=True)) == truth(plant)
    assert (columns["quality"] == Quality.GOOD).all()


def test_the_account_adds_up(plant: Plant) -> None:
    """Rows out are rows in, less the lost, plus the copies; each kind is counted from the rows."""
    columns, account = historian_export(plant, seed=4), account_export(plant, seed=4)
    counts, quality = Counter(keys(columns)), columns["quality"]
    assert account.clean == len(truth(plant))
    assert len(columns["value"]) == account.rows
    assert account.rows == account.clean - account.lost + account.exact + account.conflicting
    assert len(counts) == account.clean - account.lost
    assert min(account.lost, account.exact, account.conflicting, account.late) > 0
    no_value = np.isnan(columns["value"])
    assert (quality[no_value] == Quality.BAD).all()
    first = {key: i for i, key in reversed(list(enumerate(keys(columns))))}  # one row a reading
    once = np.array(sorted(first.values()))
    assert no_value[once].sum() == account.bad_nan
    assert (quality[once] == Quality.BAD).sum() == account.bad_nan + account.bad_plausible


def test_the_best_copy_of_a_reading_is_the_truth(plant: Plant) -> None:
    """Dropping worse copies and Bad rows gives back the plant's own readings."""
    rates = ExportRates(conflicting_duplicates=0.05, bad_plausible=0.1, uncertain=0.1)
    columns, known = historian_export(plant, seed=1, rates=rates), truth(plant)
    best: dict[tuple, tuple[int, float]] = {}
    for key, quality, value in zip(
        keys(columns), columns["quality"].tolist(), columns["value"].tolist(), strict=True
    ):
        best[key] = min(best.get(key, (9, 0.0)), (quality, value))
    for key, (quality, value) in best.items():
        assert quality == Quality.BAD or value == known[key]


def test_a_copy_comes_after_its_reading(plant: Plant) -> None:
    """The worse copy of a reading with two qualities is the later arrival."""
    columns = historian_export(plant, rates=ExportRates(exact_duplicates=0))
    first: dict[tuple, int] = {}
    copies = 0
    for key, quality in zip(keys(columns), columns["quality"].tolist(), strict=True):
        if key in first:
            copies += 1
            assert (first[key], quality) == (Quality.GOOD, Quality.UNCERTAIN)
        first[key] = quality
    assert copies == account_export(plant, rates=ExportRates(exact_duplicates=0)).conflicting > 0


def test_late_rows_come_after_newer_ones(plant: Plant) -> None:
    """Most delayed readings are overtaken by the next one of their tag; without delays none is."""

    def overtaken(rates: ExportRates) -> int:
        columns, newest, count = historian_export(plant, rates=rates), {}, 0
        for asset, tag, time in keys(columns):
            count += time < newest.get((asset, tag), time)
            newest[asset, tag] = max(time, newest.get((asset, tag), time))
        return count

    late = ExportRates(**{**vars(CLEAN), "late": 0.01})
    assert overtaken(CLEAN) == 0
    assert overtaken(late) >= 0.97 * account_export(plant, rates=late).late


def test_gaps_take_one_tag_or_a_whole_asset(plant: Plant) -> None:
    """Lost readings come in runs, and some instants of an asset are lost for all its tags."""
    rates = ExportRates(**{**vars(CLEAN), "asset_gaps_per_week": 5, "tag_gaps_per_week": 1})
    columns = historian_export(plant, rates=rates, seed=2)
    seen = Counter(
        zip(columns["asset"].tolist(), columns["time"].astype(np.int64).tolist(), strict=True)
    )
    assert len(seen) < len(plant.time) * len(plant.assets)
    assert 0 < sum(count < len(plant.tags) for count in seen.values()) < len(seen) / 2


def test_seeds_of_an_export(plant: Plant) -> None:
    """A seed gives one export; another gives another of the same plant."""
    one, same, other = (historian_export(plant, seed=seed) for seed in (1, 1, 2))
    for name in READING:
        np.testing.assert_array_equal(one[name], same[name])
    assert keys(one) != keys(other)


def test_opc_da_turns_quality_over(plant: Plant) -> None:
    """192 is Good, 64 Uncertain and 0 Bad; the same rows carry them."""
    ours = historian_export(plant, seed=1)["quality"]
    theirs = historian_export(plant, seed=1, dialect="opc-da")["quality"]
    for mine, number in ((Quality.GOOD, 192), (Quality.UNCERTAIN, 64), (Quality.BAD, 0)):
        np.testing.assert_array_equal(ours == mine, theirs == number)


def test_csv_holds_the_export(plant: Plant, tmp_path) -> None:
    """One file an asset, rows in order of arrival, values to the last bit, times with a Z."""
    account = write_historian_csv(plant, tmp_path / "new" / "drop", seed=1)
    columns, rows = historian_export(plant, seed=1), 0
    for asset in plant.assets:
        own = np.flatnonzero(columns["asset"] == asset)
        with (tmp_path / "new" / "drop" / f"{asset}.csv").open(newline="") as file:
            header, *lines = csv.reader(file)
        assert tuple(header) == READING
        rows += len(lines)
        assert [line[2] for line in lines] == [
            f"{t}Z" for t in columns["time"][own].astype("M8[s]")
        ]
        np.testing.assert_array_equal([float(line[3]) for line in lines], columns["value"][own])
        assert [int(line[4]) for line in lines] == columns["quality"][own].tolist()
    assert rows == account.rows


def test_the_smallest_export() -> None:
    """Two rows of one asset export without a gap, a copy or a Bad reading to draw from."""
    tiny = simulate_plant(assets=1, days=0.01, faults=None)
    account = account_export(tiny)
    assert account.rows == len(historian_export(tiny)["value"])


@pytest.mark.parametrize(
    "rates", [{"late": -0.1}, {"exact_duplicates": 0.9}, {"gap_mean_s": float("nan")}]
)
def test_impossible_rates_are_refused(rates: dict) -> None:
    """A share stays small and no rate is negative or missing."""
    with pytest.raises(ConfigError, match=next(iter(rates))):
        ExportRates(**rates)


def test_an_unknown_dialect_is_refused(plant: Plant) -> None:
    """The dialects that exist are named."""
    with pytest.raises(ConfigError, match="opc-da"):
        historian_export(plant, dialect="opc-ad")  # pyright: ignore[reportArgumentType]
