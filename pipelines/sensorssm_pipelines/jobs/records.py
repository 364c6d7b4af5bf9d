"""The table of runs: each one is there from its start, with how it ended and its report."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from sensorssm_pipelines.ingest import Account
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store
from sensorssm_pipelines.store.lock import alive


@dataclass
class Record:
    """A run under way: its name, and what it has to report so far."""

    run: str
    account: Account | None = None
    report: dict[str, Any] = field(default_factory=dict)


@contextmanager
def recorded(recipe: Recipe, store: Store, job: str) -> Iterator[Record]:
    """Keep a row in the table of runs while a job lasts: RUNNING, then DONE or FAILED.

    A process that is killed writes neither; the store reads its row as LOST.
    """
    started = datetime.now(UTC)
    record = Record(f"{started:%Y-%m-%dT%H:%M:%S.%f} {job} {recipe.name}")
    with alive(store.path, record.run):
        _write(recipe, store, record, started, "RUNNING")
        try:
            yield record
        except BaseException as error:
            record.report["error"] = str(error) or type(error).__name__
            _write(recipe, store, record, started, "FAILED")
            raise
        _write(recipe, store, record, started, "DONE")


def to_json(report: Any) -> str:
    """Return a report as JSON; times are ISO 8601, what is not a number is null."""
    return json.dumps(_plain(report), indent=2, sort_keys=True)


def _write(recipe: Recipe, store: Store, record: Record, started: datetime, status: str) -> None:
    counts = asdict(record.account) if record.account else {}
    row = {
        "run": record.run,
        "recipe": recipe.name,
        "started": started,
        "ended": None if status == "RUNNING" else datetime.now(UTC),
        "status": status,
        "report": to_json(record.report),
        **{
            k: counts[k]
            for k in ("rows_in", "rows_out", "deduplicated", "quarantined", "late")
            if k in counts
        },
    }
    store.write_runs(pl.DataFrame([row], schema_overrides={"ended": pl.Datetime("us", "UTC")}))


def _plain(value: Any) -> Any:
    if isinstance(value, pl.DataFrame):
        return _plain(value.to_dicts())
    if is_dataclass(value) and not isinstance(value, type):
        names = (
            *(f.name for f in fields(value) if f.repr),  # one left out of print is left out here
            *(k for k, v in vars(type(value)).items() if isinstance(v, property)),
        )
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, datetime) else value
