"""Times in every form that files have, on one line in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from sensorssm.errors import ConfigError, DataError
from sensorssm_pipelines.ingest.times import utc_time


def parse(values: list, time_format: str = "iso", zone: str = "UTC") -> list[datetime | None]:
    frame = pl.DataFrame({"t": values}, strict=False)
    return frame.select(utc_time("t", frame.schema["t"], time_format, zone)).to_series().to_list()


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T12:00:00Z", NOON),
        ("2026-01-05 12:00:00", NOON),
        (" 2026-01-05T12:00 ", NOON),
        ("2026-01-05T12:00:00.123456Z", NOON.replace(microsecond=123456)),
        ("2026-01-05T12:00:00.5", NOON.replace(microsecond=500_000)),
        ("2026-01-05T14:00:00+02:00", NOON),
        ("2026-01-05 04:00:00-0800", NOON),
        ("2026-01-05T12:00Z", NOON),
        ("2026-01-05 13:00+01:00", NOON),
        ("2026-01-05", NOON.replace(hour=0)),
        ("2026-01-05T24:00:00Z", None),
        ("2026-13-05T12:00:00Z", None),
        ("45962.5", None),
        ("", None),
        (None, None),
    ],
)
def test_iso_text_in_its_many_forms(text: str | None, expected: datetime | None) -> None:
    """Each form alone, and all in one column with a good one."""
    assert parse(["2026-01-05T12:00:00Z", text]) == [NOON, expected]


def test_a_clock_change_is_never_guessed() -> None:
    """02:30 is skipped in March and twice there in October; both are unknown, neighbours are not."""
    texts = ["2026-03-29T02:30:00", "2026-10-25T02:30:00", "2026-07-01T02:30:00"]
    assert parse(texts, zone="Europe/Berlin") == [
        None,
        None,
        datetime(2026, 7, 1, 0, 30, tzinfo=UTC),
    ]


def test_an_offset_in_the_text_wins_over_the_zone() -> None:
    assert parse(["2026-01-05T12:00:00Z"], zone="Europe/Berlin") == [NOON]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_typed_times_of_any_unit_and_zone(unit: str, zone: str | None) -> None:
    series = pl.Series("t", [NOON]).cast(pl.Datetime(unit, "UTC"))
    series = series.dt.convert_time_zone(zone) if zone else series.dt.replace_time_zone(None)
    found = series.to_frame().select(utc_time("t", series.dtype, "iso", "UTC")).to_series()
    assert found.to_list() == [NOON]
    assert found.dtype == pl.Datetime("us", "UTC")


def test_a_date_is_its_midnight() -> None:
    assert parse([date(2026, 1, 5)]) == [NOON.replace(hour=0)]


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_counts_since_1970(unit: str, scale: int) -> None:
    count = int(NOON.timestamp()) * scale
    assert parse([count], f"epoch_{unit}") == [NOON]
    assert parse([str(count), "soon"], f"epoch_{unit}") == [NOON, None]


def test_a_count_with_a_fraction_is_read_to_the_microsecond() -> None:
    half = NOON.replace(microsecond=500_000)
    assert parse([f"{NOON.timestamp() + 0.5:.1f}"], "epoch_s") == [half]
    assert parse([NOON.timestamp() * 1e3 + 500], "epoch_ms") == [half]


@pytest.mark.parametrize("count", ["9223372036854775807", "-9223372036854775808", "1e300", "nan"])
def test_a_count_that_no_time_has_is_no_time(count: str) -> None:
    """Seconds times a million would wrap around, to some time in the middle of the readings."""
    assert parse([count, str(int(NOON.timestamp()))], "epoch_s") == [None, NOON]


def test_a_pattern_of_ones_own() -> None:
    assert parse(["05.01.2026 12:00", "5/1/2026"], "%d.%m.%Y %H:%M") == [NOON, None]
    assert parse(["05.01.2026 14:00 +0200"], "%d.%m.%Y %H:%M %z") == [NOON]


def test_numbers_without_a_meaning_are_refused() -> None:
    with pytest.raises(DataError, match="Say what the numbers count"):
        parse([1_767_614_400])
    with pytest.raises(ConfigError, match="no pattern"):
        parse(["x"], "isoo")
