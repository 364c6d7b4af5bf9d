"""Cached reads of the store: read again only when the files below have changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

import polars as pl

from sensorssm_dashboard import palette
from sensorssm_pipelines.store import Store
from sensorssm_pipelines.store.lock import living

_Stamp = tuple[tuple[int, int], ...]


def read(
    store: Store,
    table: str,
    asset: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> pl.DataFrame:
    """Return a table's rows of one asset, or of all, with ``start <= time < end``.

    Frames are shared between sessions and calls: Polars frames do not change.
    """
    return _read(store.path, table, asset, start, end, _stamp(store.path, table, asset))


@lru_cache(maxsize=96)  # a week of ten tags is about 1 MB
def _read(
    path: Path, table: str, asset: str | None, start: datetime | None, end: datetime | None,
    stamp: _Stamp,
) -> pl.DataFrame:  # fmt: skip
    return getattr(Store(path, read_only=True), f"read_{table}")(asset, start, end)


def stamp(store: Store) -> _Stamp:
    """Return what changes when anything in the store is written, or a process in it dies."""
    files = [*_database(store.path), *sorted((store.path / "history").glob("*/asset=*"))]
    return (*_stamps(files), (living(store.path), 0))


def _stamp(path: Path, table: str, asset: str | None) -> _Stamp:
    """Return what changes when the table is written: time and size of its files and folders."""
    if table == "runs":
        return (*_stamps(_database(path)), (living(path), 0))
    folder = path / "history" / table
    return _stamps([*_database(path), folder, *sorted(folder.glob("asset=*"))])


def _database(path: Path) -> list[Path]:
    return [path / "results.db", path / "results.db-wal"]


def _stamps(files: Sequence[Path]) -> _Stamp:
    """Return time and size of files; an empty write-ahead log is made and removed by readers."""
    return tuple((s.st_mtime_ns, s.st_size) for f in files if (s := _stat(f)) and s.st_size)


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:
        return None


def covered(store: Store, asset: str | None = None) -> tuple[datetime, datetime] | None:
    """Return the first and last time of the scores, else of the readings; None without any."""
    for table in ("scores", "readings"):
        found = spans(store, table)
        if asset is not None:
            found = found.filter(asset=asset)
        if not found.is_empty():
            return found["begin"].min(), found["end"].max()  # pyright: ignore[reportReturnType]
    return None


def spans(store: Store, table: Literal["scores", "readings"]) -> pl.DataFrame:
    """Return asset, begin, end: the first and last time of each asset's rows."""
    return _spans(store.path, table, _stamp(store.path, table, None))


@lru_cache(maxsize=4)
def _spans(path: Path, table: Literal["scores", "readings"], stamp: _Stamp) -> pl.DataFrame:
    return Store(path, read_only=True).spans(table)


def scores(
    store: Store, asset: str, start: datetime | None = None, end: datetime | None = None
) -> pl.DataFrame:
    """Return an asset's scores by one model: where several have scored it, the newest rows' one."""
    rows = read(store, "scores", asset, start, end)
    return rows if rows.is_empty() else rows.filter(model=rows["model"][-1])


def explained(store: Store, asset: str, span: tuple[datetime, datetime]) -> pl.DataFrame:
    """Return what was read and expected within `span`; a store without a model has no expected."""
    rows = read(store, "explanations", asset, *span)
    if not rows.is_empty():
        return rows
    unknown = pl.lit(None, dtype=pl.Float64)
    return read(store, "readings", asset, *span).with_columns(
        expected=unknown, lower=unknown, upper=unknown, contribution=unknown
    )


def alarm_spans(alarms: pl.DataFrame) -> pl.DataFrame:
    """Return alarms as spans to shade: started, ended (null = open), what, colour."""
    return alarms.select(
        started="opened",
        ended="cleared",
        what=pl.format("alarm, first tag {}", pl.col("first_tag").fill_null("unknown")),
        colour=pl.col("priority").map_elements(lambda p: palette.priority(p).colour, pl.String),
    )


def label_spans(labels: pl.DataFrame) -> pl.DataFrame:
    """Return known faults as spans to shade: started, ended, what, colour."""
    what = pl.format("known fault: {}", pl.col("kind").fill_null("unnamed"))
    return labels.select("started", "ended", what=what, colour=pl.lit(palette.LABEL))


def utc_now() -> datetime:
    """Return the wall-clock time; used for staleness alone."""
    return datetime.now(UTC)
