"""The quality page: the worst tags first, each with its reason, and what was set aside."""

from __future__ import annotations

import polars as pl

from sensorssm_dashboard.views.quality import graded, set_aside

GRADES = pl.DataFrame(
    {
        "asset": ["P-101", "P-101", "P-102"],
        "tag": ["FI-101", "=cmd()", "FI-101"],
        "grade": ["high", "low", "medium"],
        "why": ["", "never moves", "missing"],
        "missing": [0.0, 0.0, 0.125],
        "gap": [0.0, 0.0, 0.01],
        "quarantined": [0, 0, 3],
    }
)


def test_the_worst_tag_stands_first_with_its_reason(build_store, open_page) -> None:
    store = build_store()
    store.write_grades(GRADES)
    page = open_page("quality", store)
    assert not page.exception
    counts = {metric.label: metric.value for metric in page.metric}
    assert counts == {"▲ high": "1", "◆ medium": "1", "▼ low": "1"}
    table = page.dataframe[0].value
    assert table["tag"].to_list() == ["'=cmd()", "FI-101", "FI-101"]  # no spreadsheet runs it
    assert table["because of"].to_list() == ["never moves", "missing", ""]
    assert table["missing"].to_list() == [0.0, 12.5, 0.0]


def test_reasons_are_counted_over_readings_and_tags() -> None:
    rows = pl.DataFrame(
        {
            "asset": ["a", "a", "b", "a"],
            "tag": ["x", "x", "x", "y"],
            "reason": ["bad quality", "bad quality", "bad quality", "no value"],
            "source": ["h.csv:2", "h.csv:3", "h.csv:9", "h.csv:4"],
        }
    )
    assert set_aside(rows).rows() == [
        ("bad quality", 3, 2, "h.csv:2"),
        ("no value", 1, 1, "h.csv:4"),
    ]


def test_nothing_graded_and_nothing_set_aside_are_said(build_store, open_page) -> None:
    store = build_store()
    page = open_page("quality", store)
    assert any("No tag has been graded" in info.value for info in page.info)
    store.write_grades(GRADES)
    assert any(
        "Every reading could be used" in c.value for c in open_page("quality", store).caption
    )


def test_an_unknown_grade_counts_as_the_worst() -> None:
    odd = GRADES.with_columns(grade=pl.Series(["high", "high", "odd"]))
    assert graded(odd)["grade"][0] == "odd"
