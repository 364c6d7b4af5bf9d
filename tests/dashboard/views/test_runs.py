"""The runs' page: rows, metrics beside baselines, faults found."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from sensorssm_dashboard.views.runs import beside, report_of
from sensorssm_pipelines.store import Store


def test_a_run_is_counted_and_judged(build_store, open_page) -> None:
    """Rows in and out, the metrics' table and the faults'."""
    page = open_page("runs", build_store())
    assert not page.exception
    values = {metric.label: metric.value for metric in page.metric}
    assert values["Rows in"] == "3,000"
    assert values["Quarantined"] == "30"
    metrics, faults = (table.value for table in page.dataframe)
    assert list(metrics.columns) == ["asset", "metric", "SSMForecaster", "EWMA"]
    assert list(faults["found"]) == ["✓ found"] * 2
    assert any("2 of 2 found" in s.value for s in page.subheader)


def test_models_stand_beside_each_other(build_store) -> None:
    """One row an asset and metric; each model's number in its own column."""
    [table] = beside(build_store().read_metrics())
    [row] = table.filter(asset="P-101", metric="MASE").to_dicts()
    assert (row["SSMForecaster"], row["EWMA"]) == (0.71, 1.0)


def test_detectors_and_forecasters_stand_apart(build_store) -> None:
    """Models that share no metric would only leave holes in each other's rows."""
    found = pl.DataFrame(
        {"run": "run-1", "asset": "all", "model": ["SSMDetector", "random"], "metric": "f1"}
    ).with_columns(value=pl.Series([0.8, 0.0]))
    tables = beside(pl.concat([build_store().read_metrics(), found]))
    columns = {tuple(table.columns[2:]) for table in tables}
    assert columns == {("SSMForecaster", "EWMA"), ("SSMDetector", "random")}
    assert all(table.null_count().sum_horizontal()[0] == 0 for table in tables)


def test_an_empty_store_says_so(tmp_path, open_page) -> None:
    """No run, no table, no error."""
    page = open_page("runs", Store(tmp_path / "empty"))
    assert not page.exception
    assert "No run has been recorded" in page.info[0].value
    assert not page.dataframe


@pytest.mark.parametrize(
    ("stored", "report"), [('{"a": 1}', {"a": 1}), (None, {}), ("{torn", {"unreadable": True})]
)
def test_a_torn_report_is_no_traceback(stored: str | None, report: dict) -> None:
    """A run that was killed may leave anything."""
    assert report_of(stored) == report


def test_faults_before_the_first_score_do_not_count_as_missed(build_store, open_page) -> None:
    """Nothing looked at that time."""
    store = build_store()
    early = (
        store.read_labels()
        .head(1)
        .with_columns(
            started=pl.lit(datetime(2025, 12, 1, tzinfo=UTC)),
            ended=pl.lit(datetime(2025, 12, 2, tzinfo=UTC)),
        )
    )
    store.write_labels(early)
    page = open_page("runs", store)
    assert any("2 of 2 found" in s.value for s in page.subheader)


def test_why_a_run_failed_is_shown_as_text(build_store, open_page) -> None:
    """The error of the report, escaped."""
    store = build_store()
    failed = store.read_runs().with_columns(
        status=pl.lit("FAILED"), report=pl.lit('{"error": "no <b>file</b>"}')
    )
    store.write_runs(failed)
    page = open_page("runs", store)
    assert page.error[0].value.replace("\\", "") == "no <b>file</b>"
    assert "<b>" not in page.error[0].value
