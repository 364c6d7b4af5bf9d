"""The report's words: what stands in them can be read off the numbers they were made from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sensorssm_pipelines.ingest import Account
from sensorssm_pipelines.jobs import report
from sensorssm_pipelines.jobs.fit import FitReport
from sensorssm_pipelines.jobs.ingest import IngestReport
from sensorssm_pipelines.jobs.judge import JudgeReport
from sensorssm_pipelines.jobs.score import ScoreReport
from sensorssm_pipelines.store import Store

FOUND = {
    "fault": "leak", "asset": "a", "tag": "flow", "started": datetime(2026, 1, 5, tzinfo=UTC),
    "found": True, "delay_min": 150.0, "first_tag": "level", "right_tag": False,
    "top_tags": ["level", "flow"], "seen": 1.25, "expected": 2.0, "unit": "m3/h",
}  # fmt: skip
MISSED = FOUND | {
    "fault": "stuck", "found": False, "delay_min": None, "first_tag": None, "top_tags": [],
    "seen": None, "expected": None, "unit": None,
}  # fmt: skip


def told(*faults: dict) -> str:
    account = Account(10, 8, 1, 1, 0, 8, 0, 0)
    ingested = IngestReport(account, 1, 2, {"no value": 1}, 0.5)
    judged = JudgeReport(list(faults), false_alarms=1, normal_weeks=2.0)
    return report.as_text(
        report.RunReport("r", 1.0, ingested, FitReport(1, 8), None, None, judged, None)
    )


def test_each_fault_tells_all_that_was_found() -> None:
    """Delay, tag, what it read and should have read, the tag it should have been, the blamed."""
    [line] = [line for line in told(FOUND).splitlines() if line.startswith("  leak")]
    for word in ("found", "2.5 h", "level", "1.25 m³/h", "2 m³/h", "no: flow", "level, flow"):
        assert word in line, word


def test_a_missed_fault_is_said_loudly_and_tells_nothing_else() -> None:
    text = told(FOUND, MISSED)
    assert "Faults: 1 of 2 found, 0 of 2 with the right tag; 1 false alarm in 2.0" in text
    [line] = [line for line in text.splitlines() if line.startswith("  stuck")]
    assert line.split() == ["stuck", "a", "2026-01-05", "00:00", "MISSED", "no:", "flow"]


def test_a_threshold_that_labels_moved_is_told(tmp_path: Path) -> None:
    scored = ScoreReport(1200, 3, 1.0, {"pump": (3.0, 3.456)})
    lines = report.score_text(scored, Store(tmp_path)).splitlines()
    assert lines[0] == f"1,200 instants scored, 3 alarms, in {tmp_path}"
    assert lines[1] == "  labels moved the threshold of pump from 3.00 to 3.46"
    assert report.fit_text(FitReport(1, 8, moved=scored.moved)).endswith(lines[1])


def test_a_table_has_names_to_the_left_and_numbers_to_the_right() -> None:
    lines = report.table(["model", "MASE"], [["a", "0.5"], ["long name", "12.25"]]).splitlines()
    assert lines == ["  model       MASE", "  a            0.5", "  long name  12.25"]
