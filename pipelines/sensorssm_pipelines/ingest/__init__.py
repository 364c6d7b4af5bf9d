"""Ingestion: files of raw readings in, a clean grid with an account of every reading out."""

from sensorssm_pipelines.ingest.grid import to_wide as to_wide
from sensorssm_pipelines.ingest.pipeline import Account as Account
from sensorssm_pipelines.ingest.pipeline import Ingested as Ingested
from sensorssm_pipelines.ingest.pipeline import ingest as ingest

__all__ = ["Account", "Ingested", "ingest", "to_wide"]
