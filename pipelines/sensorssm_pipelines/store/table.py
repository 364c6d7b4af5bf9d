"""What a table of the store is: one definition for SQLite, Parquet and Polars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

Kind = Literal["text", "real", "int", "bool", "time"]

UTC_TIME: Final = pl.Datetime("us", "UTC")
_POLARS: Final[dict[Kind, pl.DataType]] = {
    "text": pl.String(),
    "real": pl.Float64(),
    "int": pl.Int64(),
    "bool": pl.Boolean(),
    "time": UTC_TIME,
}
_SQLITE: Final[dict[Kind, str]] = {
    "text": "TEXT",
    "real": "REAL",
    "int": "INTEGER",
    "bool": "INTEGER",
    "time": "INTEGER",  # microseconds since 1970-01-01 UTC
}


@dataclass(frozen=True)
class Table:
    """One table: its columns with their kinds, its key, and the time that ranges select.

    A row is identified by `key`; writing the same key again replaces the row.
    """

    name: str
    columns: dict[str, Kind]
    key: tuple[str, ...]
    time: str | None = None

    @property
    def schema(self) -> pl.Schema:
        """The Polars schema of what `read_*` returns."""
        return pl.Schema({name: _POLARS[kind] for name, kind in self.columns.items()})

    @property
    def has_asset(self) -> bool:
        return "asset" in self.columns

    def create_sql(self) -> str:
        """Return the table's CREATE statement."""
        needed = set(self.key)
        columns = [
            f"{name} {_SQLITE[kind]}{' NOT NULL' if name in needed else ''}"
            for name, kind in self.columns.items()
        ]
        columns.append(f"PRIMARY KEY ({', '.join(self.key)})")
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} ({', '.join(columns)}) STRICT, WITHOUT ROWID"
        )

    def upsert_sql(self) -> str:
        """Return the statement that inserts a row or replaces the one with its key."""
        names = list(self.columns)
        rest = [name for name in names if name not in self.key]
        update = ", ".join(f"{name} = excluded.{name}" for name in rest)
        change = f"UPDATE SET {update}" if rest else "NOTHING"
        return (
            f"INSERT INTO {self.name} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT ({', '.join(self.key)}) DO {change}"
        )


#: What `Store.spans` returns.
SPAN: Final = Table("spans", {"asset": "text", "begin": "time", "end": "time"}, ("asset",))
