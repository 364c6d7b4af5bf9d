"""The result store: SQLite for what is small and hot, Parquet for history."""

from sensorssm_pipelines.store.draft import draft as draft
from sensorssm_pipelines.store.store import Store as Store

__all__ = ["Store", "draft"]
