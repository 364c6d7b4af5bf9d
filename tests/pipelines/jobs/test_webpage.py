"""The report for a browser: a section a fault, nothing from outside, and no name that runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from sensorssm_pipelines.jobs import webpage
from sensorssm_pipelines.jobs.judge import JudgeReport
from sensorssm_pipelines.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with two days of scores and one tag of one asset."""
    store = Store(tmp_path)
    times = pl.datetime_range(START, START + timedelta(days=2), "1h", time_unit="us", eager=True)
    rows = pl.DataFrame({"time": times, "asset": "p", "model": "m", "score": 1.0, "threshold": 2.0})
    store.write_scores(rows)
    tag = {"tag": pl.lit(HOSTILE), "value": pl.lit(1.0), "expected": pl.lit(2.0)}
    store.write_explanations(rows.select("asset", "time", **tag))
    return store


def fault(**told: Any) -> dict[str, Any]:
    known = {
        "fault": "leak", "asset": "p", "tag": "flow", "started": START + timedelta(hours=20),
        "ended": START + timedelta(hours=30), "found": True, "delay_min": 150.0,
        "first_tag": HOSTILE, "right_tag": False, "top_tags": [HOSTILE], "seen": 1.0,
        "expected": 2.0, "unit": "m3/h",
    }  # fmt: skip
    return known | told


def page(store: Store, *faults: dict[str, Any]) -> str:
    webpage.write("sensorssm: x & y", "the text <b>", JudgeReport(list(faults), 0, 1.0), store)
    return (store.path / "report.html").read_text()


def test_a_found_fault_has_its_words_and_two_charts(store: Store) -> None:
    text = page(store, fault())
    assert "Found: leak on p, from 2026-01-05 20:00 UTC, after 2.5 h" in text
    assert "read 1 m³/h, expected 2 m³/h; tag of the fault: flow" in text
    assert text.count("<svg") == 2 and text.count('class="fault"') == 2
    assert text.count('class="alarm"') == 2
    assert text.count('class="seen" d="M') == 2


def test_a_missed_fault_is_told_with_its_own_tag_and_no_alarm(store: Store) -> None:
    nothing = dict.fromkeys(("delay_min", "first_tag", "seen", "expected", "unit"))
    text = page(store, fault(found=False, top_tags=[], **nothing))
    assert "MISSED: leak on p" in text and "flow: seen and expected" in text
    assert 'class="alarm"' not in text


def test_names_are_text_and_nothing_comes_from_outside(store: Store) -> None:
    """No script, no link, no picture from elsewhere; a tag's name may hold anything."""
    text = page(store, fault())
    assert "<img" not in text and "&lt;img src=x" in text
    assert "the text &lt;b&gt;" in text and "x &amp; y" in text
    assert not any(word in text for word in ("<script", "http:", "https:", "url("))


def test_a_run_without_known_faults_has_its_text(store: Store) -> None:
    webpage.write("t", "only text", None, store)
    text = (store.path / "report.html").read_text()
    assert "only text" in text and "<svg" not in text
