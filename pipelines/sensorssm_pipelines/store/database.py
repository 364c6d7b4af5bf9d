"""SQLite tables: one file in write-ahead mode, one writer, readers that never wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import polars as pl

from sensorssm.errors import StoreError
from sensorssm_pipelines.store import schema
from sensorssm_pipelines.store.rows import (
    conform,
    from_sqlite,
    microseconds,
    require_key,
    to_sqlite,
)
from sensorssm_pipelines.store.table import SPAN, Table

_VERSION = 3
_BUSY_S = 10.0


class Database:
    """The SQLite half of a store."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def create(self) -> None:
        """Make the file and the tables that are not there yet: all, or those newer than it is."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"no store can be made in {self.file.parent}: {error.strerror}. Choose a folder "
                "that can be written."
            ) from error
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        if self.check_version(oldest=0) < _VERSION:
            with self.transaction() as connection:
                for table in (*schema.DATABASE, schema.LANDING):
                    connection.execute(_create_sql(table))
                connection.execute(f"PRAGMA user_version = {_VERSION}")

    def check_version(self, *, oldest: int = _VERSION) -> int:
        """Return the file's schema version, 0 without tables; StoreError for one not wanted."""
        with self._connect(read_only=True) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not oldest <= version <= _VERSION:
            raise StoreError(
                f"{self.file} has version {version}; this program reads version {_VERSION}. "
                "Any job renews an older store: run one on it, or use another folder."
            )
        return version

    def write(self, table: Table, frame: pl.DataFrame) -> None:
        """Insert the rows of `frame`, replacing those with the same key, in one transaction."""
        rows = conform(table, frame)
        sql = _UPSERT.get(table.name) or table.upsert_sql()
        if table is schema.ALARM_EVENTS:
            rows = rows.drop("seq")
        require_key(table, rows)
        with self.transaction() as connection:
            connection.executemany(sql, to_sqlite(rows))

    def read(
        self,
        table: Table,
        asset: str | None = None,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
    ) -> pl.DataFrame:
        """Return the rows of one asset, or of all, with ``start <= time < end``, by key."""
        wanted = [
            (f"{table.time} >= ?", microseconds(start) if table.time else None),
            (f"{table.time} < ?", microseconds(end) if table.time else None),
            ("asset = ?", asset if table.has_asset else None),
        ]
        clauses = [(sql, value) for sql, value in wanted if value is not None]
        where = f" WHERE {' AND '.join(sql for sql, _ in clauses)}" if clauses else ""
        query = (
            f"SELECT {', '.join(table.columns)} FROM {table.name}{where} "
            f"ORDER BY {', '.join(table.key)}"
        )
        with self._connect(read_only=True) as connection:
            rows = connection.execute(query, [value for _, value in clauses]).fetchall()
        return from_sqlite(table, rows)

    def spans(self, table: Table) -> pl.DataFrame:
        """Return asset, begin, end: the first and last time of each asset's rows."""
        sql = _SPANS.format(table=table.name, time=table.time)
        with self._connect(read_only=True) as connection:
            return from_sqlite(SPAN, connection.execute(sql).fetchall())

    def take(self, other: Path, tables: Sequence[Table], folders: Sequence[str]) -> None:
        """Replace the rows of `tables` by those of another database, in one transaction.

        What a person acknowledged stays. `folders` are noted as landing in the same transaction.
        """
        with self.transaction(other) as connection:
            for table in tables:
                connection.execute(f"DELETE FROM {table.name}{_UNLESS.get(table.name, '')}")
                connection.execute(_take_sql(table))
                if table is schema.ALARMS:
                    connection.execute(_OVER)
            connection.executemany(schema.LANDING.upsert_sql(), [(folder,) for folder in folders])

    def landing(self) -> list[str]:
        """Return the folders of a draft that has landed, but for their move into place."""
        return self.read(schema.LANDING)["folder"].to_list()

    def landed(self) -> None:
        """Note that every folder is in its place."""
        with self.transaction() as connection:
            connection.execute("DELETE FROM landing")

    @contextmanager
    def transaction(self, other: Path | None = None) -> Iterator[sqlite3.Connection]:
        """Give a connection inside one transaction that is committed, or leaves no trace.

        The tables of another database, where one is named, are there as ``other.<table>``.
        """
        with self._connect() as connection:
            if other is not None:
                connection.execute("ATTACH DATABASE ? AS other", (str(other),))
            # IMMEDIATE: a read that turns into a write fails at once, whatever the time-out.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connect(self, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection of its own: short reads never hold the write-ahead log back."""
        uri = f"{self.file.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        connection = None
        try:
            connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.file}: {error}. Check that the folder holds a store and can be written."
            ) from error
        finally:
            if connection is not None:
                connection.close()


def _create_sql(table: Table) -> str:
    if table is not schema.ALARM_EVENTS:
        return table.create_sql()
    return (
        "CREATE TABLE IF NOT EXISTS alarm_events (seq INTEGER PRIMARY KEY, alarm_id TEXT NOT NULL, "
        "time INTEGER NOT NULL, kind TEXT NOT NULL, who TEXT, why TEXT, "
        "UNIQUE (alarm_id, time, kind)) STRICT"
    )


def _keep_acknowledged(sql: str) -> str:
    """Return the alarms' upsert so that a later write never takes an acknowledgement back."""
    for name in ("acknowledged", "acknowledged_by"):
        sql = sql.replace(
            f"{name} = excluded.{name}", f"{name} = coalesce(alarms.{name}, excluded.{name})"
        )
    return sql.replace(
        "state = excluded.state",
        "state = iif(excluded.state = 'OPEN' AND alarms.acknowledged IS NOT NULL, "
        "'ACKNOWLEDGED', excluded.state)",
    )


def _take_sql(table: Table) -> str:
    """Return a table's upsert with the rows of the other database for its values."""
    insert, _, rest = (_UPSERT.get(table.name) or table.upsert_sql()).partition(" VALUES ")
    names = insert[insert.index("(") + 1 : -1]
    # WHERE true: SQLite would else read ON as part of a join.
    return (
        f"{insert} SELECT {names} FROM other.{table.name} WHERE true{rest[rest.index(')') + 1 :]}"
    )


#: A look at the key for every asset, not at every row: SQLite finds no next asset by itself.
_SPANS = """
WITH RECURSIVE found (asset) AS (
  SELECT min(asset) FROM {table} UNION ALL
  SELECT (SELECT min(asset) FROM {table} WHERE asset > found.asset) FROM found
  WHERE found.asset IS NOT NULL
)
SELECT asset, (SELECT min({time}) FROM {table} AS rows WHERE rows.asset = found.asset),
  (SELECT max({time}) FROM {table} AS rows WHERE rows.asset = found.asset)
FROM found WHERE asset IS NOT NULL
"""
#: What stays where a table is replaced.
_UNLESS = {
    "alarms": " WHERE acknowledged IS NULL",
    "alarm_events": " WHERE alarm_id NOT IN (SELECT id FROM alarms)",
}
#: An acknowledged alarm that is not raised anew is over, by the asset's last score.
_OVER = (
    "UPDATE alarms SET state = 'CLEARED', cleared = coalesce((SELECT latest.time FROM other.latest "
    "AS latest WHERE latest.asset = alarms.asset AND latest.time > opened), opened) "
    "WHERE cleared IS NULL AND id NOT IN (SELECT id FROM other.alarms)"
)
#: The tables whose rows are not simply replaced.
_UPSERT = {
    "latest": schema.LATEST.upsert_sql() + " WHERE excluded.time >= latest.time",
    "alarms": _keep_acknowledged(schema.ALARMS.upsert_sql()),
    "alarm_events": (
        "INSERT INTO alarm_events (alarm_id, time, kind, who, why) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (alarm_id, time, kind) DO NOTHING"
    ),
}
