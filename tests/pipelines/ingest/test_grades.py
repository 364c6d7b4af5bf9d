"""Grades of series: each thing that speaks against one, alone and together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm_pipelines.ingest.grades import grade

START = datetime(2026, 1, 5, tzinfo=UTC)
MOVES = [float(k % 7) for k in range(100)]


def graded(values: list[float | None], set_aside: int = 0) -> dict:
    """Return the grade of one series beside another that is without fault."""
    times = [START + timedelta(minutes=k) for k in range(len(values))]
    grid = pl.concat(
        pl.DataFrame(
            {"asset": "a", "time": times, "tag": tag, "value": pl.Series(held, dtype=pl.Float64)}
        )
        for tag, held in (("x", values), ("good", [float(k) for k in range(len(values))]))
    ).sort("time", "tag")
    quarantine = pl.DataFrame(
        {"asset": ["a"] * set_aside, "tag": ["x"] * set_aside},
        schema={"asset": pl.String, "tag": pl.String},
    )
    rows = {row["tag"]: row for row in grade(grid, quarantine).iter_rows(named=True)}
    assert (rows["good"]["grade"], rows["good"]["why"]) == ("high", "")
    return rows["x"]


def without(*rows: int) -> list[float | None]:
    return [None if k in rows else value for k, value in enumerate(MOVES)]


@pytest.mark.parametrize(
    ("values", "set_aside", "grade", "why"),
    [
        (MOVES, 0, "high", ""),
        (without(*range(0, 10, 2)), 0, "high", ""),  # five apart
        (without(*range(0, 12, 2)), 0, "medium", "missing"),
        (without(*range(0, 62, 2)), 0, "low", "missing"),
        (without(*range(6)), 0, "medium", "missing, one long gap"),
        (without(*range(21)), 0, "low", "one long gap, missing"),
        ([5.0] * 100, 0, "low", "never moves"),
        ([None] * 100, 0, "low", "never moves, missing, one long gap"),
        (MOVES, 6, "medium", "quarantined"),
        (MOVES, 31, "low", "quarantined"),
    ],
)
def test_a_series_is_graded_by_what_speaks_against_it(
    values: list[float | None], set_aside: int, grade: str, why: str
) -> None:
    found = graded(values, set_aside)
    assert (found["grade"], found["why"]) == (grade, why)
    assert found["quarantined"] == set_aside


def test_the_longest_gap_is_of_one_series() -> None:
    """Missing rows of neighbours in time, and two gaps of one series, do not add up."""
    found = graded(without(3, 4, 5, 50, 51))
    assert found["missing"] == pytest.approx(0.05) and found["gap"] == pytest.approx(0.03)
