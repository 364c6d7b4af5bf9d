"""Known faults beside the alarms that met them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from sensorssm_dashboard.faults import fault_table

START = datetime(2026, 1, 5, tzinfo=UTC)
END = START + timedelta(days=10)


def hours(n: float) -> datetime:
    return START + timedelta(hours=n)


def table(*alarms: tuple[str, datetime, datetime | None]) -> dict:
    labels = pl.DataFrame(
        {
            "asset": ["P-1"],
            "started": [hours(10)],
            "ended": [hours(20)],
            "kind": ["leak"],
            "tag": ["FI-1"],
        }
    )
    rows = pl.DataFrame(
        [(*alarm, "PI-1") for alarm in alarms],
        schema={
            "asset": pl.String,
            "opened": pl.Datetime("us", "UTC"),
            "cleared": pl.Datetime("us", "UTC"),
            "first_tag": pl.String,
        },
        orient="row",
    )
    [row] = fault_table(labels, rows, END).to_dicts()
    return row


def test_an_alarm_within_the_fault_finds_it() -> None:
    """With the delay since the fault's start, and the tag it named."""
    row = table(("P-1", hours(12.5), hours(13)), ("P-1", hours(15), None))
    assert (row["found"], row["after"]) == ("✓ found", "2 h 30 min")
    assert (row["named tag"], row["fault's tag"]) == ("PI-1", "FI-1")


def test_an_alarm_that_was_open_already_finds_it_at_once() -> None:
    """The delay is never negative."""
    assert table(("P-1", hours(5), None))["after"] == "0 s"


def test_alarms_elsewhere_do_not_count() -> None:
    """Another asset, before, after, or touching an end."""
    row = table(
        ("P-2", hours(12), hours(13)),
        ("P-1", hours(1), hours(2)),
        ("P-1", hours(2), hours(10)),
        ("P-1", hours(20), hours(21)),
    )
    assert (row["found"], row["after"], row["named tag"]) == ("✗ missed", "–", "–")


def test_no_faults_give_an_empty_table() -> None:
    """With its columns."""
    empty = pl.DataFrame(schema={"asset": pl.String, "started": pl.Datetime("us", "UTC")})
    assert fault_table(empty, pl.DataFrame(), END).columns[0] == "asset"
