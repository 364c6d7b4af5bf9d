"""Why a score is what it is: the excursion it stands in, and the part of every tag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm_dashboard.explain import excursion, explained_at

START = datetime(2026, 1, 5, tzinfo=UTC)


def at(step: int) -> datetime:
    return START + step * timedelta(minutes=5)


def scores(*values: float | None) -> pl.DataFrame:
    times = [at(step) for step in range(len(values))]
    frame = pl.DataFrame({"time": times, "score": values}, schema_overrides={"score": pl.Float64})
    return frame.with_columns(threshold=pl.lit(2.0))


@pytest.mark.parametrize(
    ("values", "step", "began"),
    [
        ((1, 3, 4, 5), 3, 1),
        ((1, 3, 1, 5), 3, 3),
        ((3, 3, 3), 2, 0),  # above from the first score on
        ((3, 3, 1), 2, 2),  # below: nothing began
        ((1, 3, None, 5), 3, 1),  # unknown in between
        ((1, 3, 4, 1, 9), 2, 1),  # what comes later does not count
        ((1, 2, 3), 2, 2),  # at the threshold is not above it
    ],
)
def test_an_excursion_begins_where_the_score_last_rose(
    values: tuple[float | None, ...], step: int, began: int
) -> None:
    assert excursion(scores(*values), at(step)) == at(began)


def parts(shares: dict[str, list[float | None]], value: float | None = 3.0) -> pl.DataFrame:
    rows = [
        (at(step), tag, value, 5.0, share)
        for tag, row in shares.items()
        for step, share in enumerate(row)
    ]
    columns = ["time", "tag", "value", "expected", "contribution"]
    schema = {"time": pl.Datetime("us", "UTC"), "tag": pl.String} | dict.fromkeys(
        columns[2:], pl.Float64
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_who_moved_first_is_told_by_the_first_steps_and_the_share_by_the_last() -> None:
    """Flow led for five steps; then level took over, which moved second."""
    rows = parts({"flow": [0.8] * 5 + [0.1] * 4, "level": [0.15] * 5 + [0.9] * 4, "x": [0.05] * 9})
    table = explained_at(rows, at(8), {"flow": "m³/h"})
    assert table.select("tag", "share", "moved").rows() == [
        ("level", 0.9, "2"), ("flow", 0.1, "first"), ("x", 0.05, ""),
    ]  # fmt: skip
    flow = table.row(1, named=True)
    assert (flow["seen"], flow["expected"]) == ("3.000 m³/h", "5.000 m³/h")
    assert flow["off by"] == "2.000 m³/h below"


def test_a_tag_without_a_reading_has_dashes() -> None:
    [row] = explained_at(parts({"flow": [1.0]}, value=None), at(0), {}).to_dicts()
    assert (row["seen"], row["off by"]) == ("–", "–")


def test_a_hostile_unit_is_no_formula() -> None:
    """A cell that begins with a hyphen would be one, once the table is exported."""
    [row] = explained_at(
        parts({"=x()": [1.0]}, value=-3.0), at(0), {"=x()": "+cmd|x!A0"}
    ).to_dicts()
    assert row["tag"] == "'=x()"
    assert not any(str(cell)[:1] in "=+-@" for cell in row.values())


def test_an_instant_that_nothing_explains_is_an_empty_table() -> None:
    assert explained_at(parts({"flow": [1.0]}), at(7), {}).is_empty()
