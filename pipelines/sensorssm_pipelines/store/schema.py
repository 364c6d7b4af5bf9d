"""The tables of the result store, each by its columns and its key."""

from __future__ import annotations

from typing import Final

from sensorssm_pipelines.store.table import Table

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
SHELVES = Table(
    "shelves",
    {
        "asset": "text",
        "started": "time",
        "ended": "time",
        "who": "text",
        "why": "text",
        "time": "time",
    },
    ("asset", "started"),
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
    SHELVES,
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
