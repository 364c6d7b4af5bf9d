"""The tables of the result store: one definition for SQLite, Parquet and Polars."""

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


ASSETS = Table("assets", {"asset": "text", "description": "text", "model": "text"}, ("asset",))
TAGS = Table(
    "tags",
    {
        "asset": "text",
        "tag": "text",
        "unit": "text",
        "description": "text",
        "low": "real",
        "high": "real",
    },
    ("asset", "tag"),
)
GRADES = Table(
    "grades",
    {
        "asset": "text",
        "tag": "text",
        "grade": "text",
        "why": "text",
        "missing": "real",
        "gap": "real",
        "quarantined": "int",
    },
    ("asset", "tag"),
)
SCORES = Table(
    "scores",
    {
        "asset": "text",
        "time": "time",
        "model": "text",
        "score": "real",
        "threshold": "real",
        "p_value": "real",
        "is_anomaly": "bool",
    },
    ("asset", "time", "model"),
    "time",
)
LATEST = Table(
    "latest",
    {"asset": "text", "time": "time", "score": "real", "threshold": "real", "state": "text"},
    ("asset",),
    "time",
)
ALARMS = Table(
    "alarms",
    {
        "id": "text",
        "asset": "text",
        "rule": "text",
        "priority": "text",
        "state": "text",
        "opened": "time",
        "cleared": "time",
        "acknowledged": "time",
        "acknowledged_by": "text",
        "peak_score": "real",
        "p_value": "real",
        "first_tag": "text",
        "tags": "text",
        "message": "text",
    },
    ("id",),
    "opened",
)
ALARM_EVENTS = Table(
    "alarm_events",
    {
        "seq": "int",
        "alarm_id": "text",
        "time": "time",
        "kind": "text",
        "who": "text",
        "why": "text",
    },
    ("alarm_id", "time", "kind"),
    "time",
)
LABELS = Table(
    "labels",
    {
        "asset": "text",
        "started": "time",
        "ended": "time",
        "kind": "text",
        "tag": "text",
        "source": "text",
    },
    ("asset", "started", "ended", "kind"),
    "started",
)
ALARM_LABELS = Table(
    "alarm_labels",
    {
        "alarm_id": "text",
        "asset": "text",
        "started": "time",
        "ended": "time",
        "kind": "text",
        "time": "time",
        "who": "text",
        "why": "text",
    },
    ("alarm_id",),
    "started",
)
METRICS = Table(
    "metrics",
    {"run": "text", "asset": "text", "model": "text", "metric": "text", "value": "real"},
    ("run", "asset", "model", "metric"),
)
RUNS = Table(
    "runs",
    {
        "run": "text",
        "recipe": "text",
        "started": "time",
        "ended": "time",
        "status": "text",
        "rows_in": "int",
        "rows_out": "int",
        "deduplicated": "int",
        "quarantined": "int",
        "late": "int",
        "report": "text",
    },
    ("run",),
    "started",
)
HEARTBEAT = Table(
    "heartbeat",
    {"process": "text", "event_time": "time", "wall_time": "time", "lag_rows": "int"},
    ("process",),
)
LANDING = Table("landing", {"folder": "text"}, ("folder",))

#: Tables in SQLite: small, hot, changed in place.
DATABASE: Final = (
    ASSETS,
    TAGS,
    GRADES,
    SCORES,
    LATEST,
    ALARMS,
    ALARM_EVENTS,
    LABELS,
    ALARM_LABELS,
    METRICS,
    RUNS,
    HEARTBEAT,
)

READINGS = Table(
    "readings",
    {"asset": "text", "time": "time", "tag": "text", "value": "real", "quality": "int"},
    ("time", "tag"),
    "time",
)
EXPLANATIONS = Table(
    "explanations",
    {
        "asset": "text",
        "time": "time",
        "tag": "text",
        "value": "real",
        "expected": "real",
        "lower": "real",
        "upper": "real",
        "contribution": "real",
    },
    ("time", "tag"),
    "time",
)
FORECASTS = Table(
    "forecasts",
    {
        "asset": "text",
        "origin": "time",
        "step": "int",
        "time": "time",
        "tag": "text",
        "q10": "real",
        "q50": "real",
        "q90": "real",
    },
    ("origin", "step", "tag"),
    "time",
)
SKILL = Table(
    "skill",
    {
        "run": "text",
        "asset": "text",
        "model": "text",
        "tag": "text",
        "step": "int",
        "mae": "real",
        "pinball": "real",
        "readings": "int",
    },
    ("run", "model", "tag", "step"),
)
CALIBRATION = Table(
    "calibration",
    {
        "run": "text",
        "asset": "text",
        "model": "text",
        "tag": "text",
        "level": "real",
        "below": "real",
        "readings": "int",
    },
    ("run", "model", "tag", "level"),
)
QUARANTINE = Table(
    "quarantine",
    {
        "asset": "text",
        "tag": "text",
        "time": "time",
        "value": "text",
        "quality": "text",
        "reason": "text",
        "source": "text",
    },
    ("source", "tag"),
    "time",
)

#: Tables in Parquet: large, written in bulk, one folder an asset and one file a month.
HISTORY: Final = (READINGS, EXPLANATIONS, FORECASTS, SKILL, CALIBRATION, QUARANTINE)
