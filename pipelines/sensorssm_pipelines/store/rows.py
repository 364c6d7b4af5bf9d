"""Frames at the store's door: checked against a table, cast to its kinds, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl

from sensorssm.errors import ConfigError, StoreError
from sensorssm_pipelines.store.table import UTC_TIME, Table


def conform(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return `frame` with exactly the table's columns in order; those left out become null.

    Raises
    ------
    StoreError : an unknown column, a missing or null key, or a column of another kind.
    """
    unknown = sorted(set(frame.columns) - set(table.columns))
    if unknown:
        raise StoreError(
            f"table {table.name!r} has no column {unknown[0]!r}; "
            f"it has {', '.join(table.columns)}. Drop or rename the column."
        )
    try:
        shaped = frame.select(
            _column(name, dtype, frame.schema.get(name)) for name, dtype in table.schema.items()
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"a frame for table {table.name!r} does not fit: {reason}. Wanted {dict(table.schema)}."
        ) from error
    return shaped


def require_key(table: Table, frame: pl.DataFrame) -> None:
    """Raise StoreError where a key column of `frame` is null."""
    for name in table.key:
        if frame[name].null_count():
            raise StoreError(f"table {table.name!r} wants {name!r} in every row; found a null.")


def _column(name: str, dtype: pl.DataType, found: pl.DataType | None) -> pl.Expr:
    if found is None:
        return pl.lit(None, dtype=dtype).alias(name)
    if isinstance(dtype, pl.Datetime):
        if isinstance(found, pl.Datetime) and found.time_zone is None:
            return pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return pl.col(name).cast(UTC_TIME)
    if dtype == pl.Float64:
        return pl.col(name).cast(dtype).fill_nan(None)
    return pl.col(name).cast(dtype)


def to_sqlite(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return `frame` as rows that SQLite stores: times as microseconds, booleans as integers."""
    return frame.with_columns(pl.col(UTC_TIME, pl.Boolean).cast(pl.Int64)).rows()


def from_sqlite(table: Table, rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """Return SQLite's rows as a frame of the table's schema."""
    stored = {
        name: pl.Int64() if kind in ("time", "bool") else table.schema[name]
        for name, kind in table.columns.items()
    }
    frame = pl.DataFrame(rows, schema=stored, orient="row")
    return frame.with_columns(
        pl.col(name).cast(pl.Boolean if kind == "bool" else UTC_TIME)
        for name, kind in table.columns.items()
        if kind in ("time", "bool")
    )


def as_utc(moment: datetime | str | None) -> datetime | None:
    """Return a moment in UTC; text is ISO 8601, and a time without a zone is UTC already."""
    if moment is None:
        return None
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError as error:
            raise ConfigError(
                f"{moment!r} is not a time. Write it as 2026-01-05 or 2026-01-05T12:00:00Z."
            ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def microseconds(moment: datetime | str | None) -> int | None:
    """Return a moment as whole microseconds since 1970-01-01 UTC."""
    utc = as_utc(moment)
    if utc is None:
        return None
    since = utc - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
