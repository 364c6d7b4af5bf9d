"""Locks that the system lets go of when their process dies: one job at a time, and which lives."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sensorssm.errors import StoreError

_LOCK = ".lock"
_ALIVE = ".alive"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other jobs out of a store.

    Raises
    ------
    StoreError : another job, or this one a second time, is at work in the store.
    """
    try:
        lock = _held(folder / _LOCK)
    except sqlite3.OperationalError as error:
        raise StoreError(
            f"another job is at work in {folder} ({error}). Wait until it has ended."
        ) from error
    with closing(lock):
        yield


@contextmanager
def alive(folder: Path, run: str) -> Iterator[None]:
    """Show that the process of a run lives, however it comes to die."""
    file = _sign(folder, run)
    file.parent.mkdir(exist_ok=True)
    try:
        with closing(_held(file)):
            yield
    finally:
        file.unlink()


def is_alive(folder: Path, run: str) -> bool:
    """Return whether the process of a run still lives."""
    return _is_held(_sign(folder, run))


def living(folder: Path) -> int:
    """Return how many processes are at work in a store."""
    return sum(map(_is_held, (folder / _ALIVE).glob("*")))


def _sign(folder: Path, run: str) -> Path:
    """Return the file of a run, whatever its name holds."""
    return folder / _ALIVE / hashlib.sha256(run.encode()).hexdigest()[:16]


def _held(file: Path) -> sqlite3.Connection:
    lock = sqlite3.connect(file, timeout=0.0, isolation_level=None)
    try:
        lock.execute("PRAGMA journal_mode = MEMORY")  # no second file beside it
        lock.execute("BEGIN EXCLUSIVE")
    except BaseException:
        lock.close()
        raise
    return lock


def _is_held(file: Path) -> bool:
    try:
        uri = f"{file.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=0.0)) as lock:
            lock.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode == sqlite3.SQLITE_BUSY  # else there is no such file
    return False
