"""Where an asset's rows are cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm.errors import ConfigError
from sensorssm_pipelines.jobs.spans import Spans, spans_of
from sensorssm_pipelines.recipes.parts import Split

START = datetime(2026, 1, 5, tzinfo=UTC)
TIMES = pl.Series("time", [START + timedelta(hours=k) for k in range(100)])


@pytest.mark.parametrize(
    ("split", "spans"),
    [
        (Split(fit=40), Spans(40, 40, 100, 40)),
        (Split(fit=0.5, test=0.6, score=0.6), Spans(50, 50, 60, 60)),
        (Split(fit=40, valid=0.5, test=1.0), Spans(40, 50, 100, 40)),
        (Split(fit=START + timedelta(hours=30)), Spans(30, 30, 100, 30)),
        (Split(fit=datetime(2026, 1, 6)), Spans(24, 24, 100, 24)),
        (Split(fit=[0.15, 20]), Spans(15, 15, 100, 15)),
        (Split(fit=[0.9, 20]), Spans(20, 20, 100, 20)),
        (Split(fit=40, reference="a"), Spans(40, 40, 100, 40)),
        (Split(fit=400, reference="b"), Spans(0, 0, 100, 0)),
    ],
)
def test_marks_are_rows_shares_or_times(split: Split, spans: Spans) -> None:
    assert spans_of(split, TIMES, "a") == spans


@pytest.mark.parametrize(
    "split",
    [
        Split(fit=1),
        Split(fit=101),
        Split(fit=-1),
        Split(fit=50, valid=40),
        Split(fit=50, test=0.4),
        Split(fit=50, score=49),
        Split(fit=50, score=101),
        Split(fit=50, score=1.5),
        Split(fit=datetime(2030, 1, 1), score=10),
    ],
)
def test_spans_out_of_order_are_refused(split: Split) -> None:
    with pytest.raises(ConfigError, match="asset 'a' into"):
        spans_of(split, TIMES, "a")
