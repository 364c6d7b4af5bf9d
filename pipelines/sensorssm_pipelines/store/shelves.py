"""Alarms on a shelf (ISA-18.2): kept from people until a time, and back by themselves after it."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import polars as pl

from sensorssm.errors import StoreError
from sensorssm_pipelines.store import schema
from sensorssm_pipelines.store.database import Database
from sensorssm_pipelines.store.rows import microseconds

SHELVED = "SHELVED"


def shelve(
    database: Database, asset: str, until: datetime, who: str, why: str, at: datetime
) -> None:
    """Put an asset's alarms on a shelf, from its newest score to `until`, in place of any other."""
    with database.transaction() as connection:
        start, end = _now(connection, asset, at), microseconds(until)
        if start is None or end is None or end <= start:
            raise StoreError(
                f"alarms of {asset!r} cannot be shelved until {until}: its newest score is not "
                "before that. Give a later time."
            )
        _end(connection, asset, start)
        row = (asset, start, end, who, why, microseconds(at))
        connection.execute(schema.SHELVES.upsert_sql(), row)


def unshelve(database: Database, asset: str, at: datetime) -> None:
    """Take an asset's alarms from the shelf, as of its newest score."""
    with database.transaction() as connection:
        _end(connection, asset, _now(connection, asset, at))


def with_shelved(alarms: pl.DataFrame, shelves: pl.DataFrame, latest: pl.DataFrame) -> pl.DataFrame:
    """Return alarms with the state SHELVED where one was on a shelf when last seen: as it cleared,
    or, while it stands, at its asset's newest score."""
    newest = latest.select("asset", newest="time")
    seen = alarms.join(newest, on="asset", how="left").select(
        "id", "asset", last=pl.coalesce("cleared", "newest", "opened")
    )
    inside = pl.col("last").is_between("started", "ended", closed="left")
    shelved = seen.join(shelves, on="asset").filter(inside)["id"].unique()
    is_shelved = pl.col("id").is_in(shelved.implode())
    return alarms.with_columns(state=pl.when(is_shelved).then(pl.lit(SHELVED)).otherwise("state"))


def _now(connection: sqlite3.Connection, asset: str, at: datetime) -> int | None:
    """Return an asset's own time: that of its newest score, or `at` before any."""
    row = connection.execute("SELECT time FROM latest WHERE asset = ?", (asset,)).fetchone()
    return row[0] if row else microseconds(at)


def _end(connection: sqlite3.Connection, asset: str, now: int | None) -> None:
    connection.execute(
        "UPDATE shelves SET ended = max(started, ?) WHERE asset = ? AND ended > ?",
        (now, asset, now),
    )
