"""What is known of a tag, as pages write it."""

from __future__ import annotations

from sensorssm.names import unit_sign
from sensorssm_dashboard import data
from sensorssm_pipelines.store import Store


def known(store: Store, asset: str, tag: str) -> tuple[str, str]:
    """Return a tag's unit as it is written, and what it measures; empty where nobody said."""
    row = next(data.read(store, "tags", asset).filter(tag=tag).iter_rows(named=True), None)
    return ("", "") if row is None else (unit_sign(row["unit"]), row["description"] or "")
