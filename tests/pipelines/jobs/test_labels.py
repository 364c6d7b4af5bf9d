"""What people said of alarms, row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from sensorssm_pipelines.jobs.labels import kinds_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_the_last_word_on_a_row_counts() -> None:
    """Of two alarms that overlap, the one that was spoken of later tells what their rows were."""
    minute = timedelta(minutes=1)
    times = pl.Series([NOON + k * minute for k in range(6)])
    said = pl.DataFrame(
        {
            "started": [NOON + 2 * minute, NOON],
            "ended": [None, NOON + 4 * minute],
            "kind": ["fault", "false_alarm"],
            "time": [NOON + 60 * minute, NOON + 30 * minute],
        },
        schema_overrides={"ended": pl.Datetime("us", "UTC")},
    )

    assert kinds_of(times, said).tolist() == ["false_alarm"] * 2 + ["fault"] * 4
