"""One job at a time in a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sensorssm.errors import StoreError

_LOCK = ".lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other jobs out of a store; the system lets go of the lock of a process that dies.

    Raises
    ------
    StoreError : another job, or this one a second time, is at work in the store.
    """
    with closing(sqlite3.connect(folder / _LOCK, timeout=0.0, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"another job is at work in {folder} ({error}). Wait until it has ended."
            ) from error
        yield
