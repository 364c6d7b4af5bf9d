"""What people do with alarms: acknowledge them, and say what they were."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from sensorssm.errors import StoreError
from sensorssm_pipelines.store import schema
from sensorssm_pipelines.store.database import Database
from sensorssm_pipelines.store.rows import microseconds

#: What an alarm can have been.
KINDS = ("fault", "false_alarm", "maintenance")


def acknowledge(database: Database, alarm_id: str, who: str, why: str, at: datetime) -> None:
    """Record that `who` has seen an alarm; the first acknowledgement stays."""
    with database.transaction() as connection:
        _, _, _, is_seen = _alarm(database, connection, alarm_id)
        if not is_seen:
            _acknowledge(connection, alarm_id, who, at)
            _note(connection, alarm_id, "ACKNOWLEDGED", who, why, at)


def label(database: Database, alarm_id: str, kind: str, who: str, why: str, at: datetime) -> None:
    """Record what an alarm was; it counts as acknowledged by then."""
    if kind not in KINDS:
        raise StoreError(f"an alarm was {kind!r}, wanted one of {', '.join(KINDS)}.")
    with database.transaction() as connection:
        asset, opened, cleared, is_seen = _alarm(database, connection, alarm_id)
        if not is_seen:
            _acknowledge(connection, alarm_id, who, at)
        row = (alarm_id, asset, opened, cleared, kind, microseconds(at), who, why)
        connection.execute(schema.ALARM_LABELS.upsert_sql(), row)
        _note(connection, alarm_id, f"LABELLED {kind}", who, why, at)


def _alarm(
    database: Database, connection: sqlite3.Connection, alarm_id: str
) -> tuple[str, int, int | None, bool]:
    """Return an alarm's asset, when it opened and cleared, and whether somebody has seen it."""
    row = connection.execute(
        "SELECT asset, opened, cleared, acknowledged IS NOT NULL FROM alarms WHERE id = ?",
        (alarm_id,),
    ).fetchone()
    if row is None:
        raise StoreError(
            f"no alarm {alarm_id!r} in {database.file.parent}. List them with read_alarms()."
        )
    return row


def _acknowledge(connection: sqlite3.Connection, alarm_id: str, who: str, at: datetime) -> None:
    connection.execute(
        "UPDATE alarms SET acknowledged = ?, acknowledged_by = ?, "
        "state = iif(state = 'OPEN', 'ACKNOWLEDGED', state) WHERE id = ?",
        (microseconds(at), who, alarm_id),
    )


def _note(
    connection: sqlite3.Connection, alarm_id: str, kind: str, who: str, why: str, at: datetime
) -> None:
    """Append to the journal; the same thing said twice at one time is said once."""
    connection.execute(
        "INSERT OR IGNORE INTO alarm_events (alarm_id, time, kind, who, why) "
        "VALUES (?, ?, ?, ?, ?)",
        (alarm_id, microseconds(at), kind, who, why),
    )
