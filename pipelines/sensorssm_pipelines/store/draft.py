"""A run lands whole or not at all: results are built beside a store and then take its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sensorssm_pipelines.store.store import Store

_FOLDER = ".draft"
_SPENT = ".spent"
_ASIDE = ".old"
#: What a draft takes the place of, where it has it. Its results.db is copied table by table, for
#: a database cannot be renamed under its readers' write-ahead log.
_FOLDERS = ("history", "models")


@contextmanager
def draft(store: Store) -> Iterator[Store]:
    """Give an empty store whose results replace those of `store` when the block ends well.

    Until then `store` is left alone, and for good where the block, or the exchange itself, fails.
    The table of runs stays, and the models where the draft has fitted none. The next draft puts
    back what a process that was killed in the exchange had set aside, and removes the rest it left.
    """
    folder, spent = store.path / _FOLDER, store.path / _SPENT
    for name in _FOLDERS:
        _put_back(folder / name, store.path / name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(spent, ignore_errors=True)
    try:
        yield Store(folder)
        places = [(folder / name, store.path / name) for name in _FOLDERS]
        with _exchanged([pair for pair in places if pair[0].exists()]):
            store.take_tables(folder)
        os.replace(folder, spent)  # at once: nothing in it is to be put back from here on
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(spent, ignore_errors=True)


@contextmanager
def _exchanged(places: Sequence[tuple[Path, Path]]) -> Iterator[None]:
    """Put each new folder in the old one's place; put all back where the block fails."""
    done: list[tuple[Path, Path]] = []
    try:
        for new, old in places:
            done.append((new, old))
            if old.exists():
                os.replace(old, _aside(new))
            os.replace(new, old)
        yield
    except BaseException:
        for new, old in reversed(done):
            if _aside(new).exists():
                _put_back(new, old)
            elif not new.exists():  # it came where nothing was
                shutil.rmtree(old, ignore_errors=True)
        raise


def _put_back(new: Path, old: Path) -> None:
    """Put the old folder in its place again, where it was set aside."""
    if _aside(new).exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(_aside(new), old)


def _aside(folder: Path) -> Path:
    return folder.with_name(folder.name + _ASIDE)
