"""The result store: SQLite for what is small and hot, Parquet for history."""

from sensorssm_pipelines.store.draft import MODELS as MODELS
from sensorssm_pipelines.store.draft import SCORES as SCORES
from sensorssm_pipelines.store.draft import WHOLE as WHOLE
from sensorssm_pipelines.store.draft import draft as draft
from sensorssm_pipelines.store.operators import KINDS as KINDS
from sensorssm_pipelines.store.shelves import SHELVED as SHELVED
from sensorssm_pipelines.store.store import Store as Store

__all__ = ["KINDS", "MODELS", "SCORES", "SHELVED", "WHOLE", "Store", "draft"]
