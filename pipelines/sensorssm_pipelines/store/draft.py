"""A job lands whole or not at all: results are built beside a store and then take its place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sensorssm_pipelines.store import schema
from sensorssm_pipelines.store.lock import alone
from sensorssm_pipelines.store.store import DRAFT, HISTORY, Store
from sensorssm_pipelines.store.table import Table

_MODELS = "models"


@dataclass(frozen=True)
class Part:
    """What a job makes anew: tables in SQLite and in Parquet; and the models, where it fits any."""

    database: tuple[Table, ...]
    history: tuple[Table, ...] = ()


_KEPT = (schema.RUNS, schema.ALARM_LABELS, schema.SHELVES)  # what was done, and what people said
WHOLE = Part(tuple(t for t in schema.DATABASE if t not in _KEPT), schema.HISTORY)
MODELS = Part((schema.ASSETS,))
SCORES = Part(
    (schema.SCORES, schema.LATEST, schema.ALARMS, schema.ALARM_EVENTS), (schema.EXPLANATIONS,)
)


@contextmanager
def draft(store: Store, part: Part = WHOLE) -> Iterator[Store]:
    """Give an empty store whose results replace that part of `store` when the block ends well.

    Until then `store` is left alone, and for good where the block fails or its process is killed.
    One transaction decides: what it has not committed is gone, what it has is read as landed at
    once, and the next job moves the folders that a killed process could not. What people said of
    alarms is in the draft too. Models stay where the draft has fitted none.

    Raises
    ------
    StoreError : another job is at work in the store.
    """
    folder = store.path / DRAFT
    with alone(store.path):
        store.move_landed()
        shutil.rmtree(folder, ignore_errors=True)
        try:
            made = Store(folder)
            made.write_alarm_labels(store.read_alarm_labels())
            made.write_shelves(store.read_shelves())
            yield made
            store.take(folder, part.database, _folders(folder, part))
        finally:
            if not store.is_landing():  # what has landed and could not move is still wanted
                shutil.rmtree(folder, ignore_errors=True)


def _folders(folder: Path, part: Part) -> list[str]:
    """Return the folders that change places, each of them there: an empty one replaces too."""
    names = [f"{HISTORY}/{table.name}" for table in part.history]
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    return [*names, *([_MODELS] if (folder / _MODELS).exists() else [])]
