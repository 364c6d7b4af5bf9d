"""Known faults beside the alarms that found them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from sensorssm_dashboard.faults import fault_table

START = datetime(2026, 1, 5, tzinfo=UTC)


def matched(**fault: Any) -> pl.DataFrame:
    known = {"asset": "P-1", "kind": "leak", "tag": "FI-1", "started": START}
    return pl.DataFrame([{**known, **fault}])


def test_a_found_fault_has_its_delay_and_its_tag() -> None:
    late = timedelta(hours=2, minutes=30)
    [row] = fault_table(matched(found=True, late=late, first_tag="PI-1")).to_dicts()
    assert (row["found"], row["after"]) == ("✓ found", "2 h 30 min")
    assert (row["named tag"], row["fault's tag"]) == ("PI-1", "FI-1")


def test_a_missed_fault_has_neither() -> None:
    [row] = fault_table(matched(found=False, late=None, first_tag=None)).to_dicts()
    assert (row["found"], row["after"], row["named tag"]) == ("✗ missed", "–", "–")


def test_a_name_that_a_spreadsheet_would_run_is_quoted() -> None:
    [row] = fault_table(matched(found=True, late=timedelta(), first_tag="=cmd()")).to_dicts()
    assert row["named tag"] == "'=cmd()"


def test_no_faults_give_an_empty_table() -> None:
    """With its columns."""
    assert fault_table(matched(found=True).clear()).columns[0] == "asset"
