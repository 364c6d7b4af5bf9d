"""Job: raw files into the store's clean grid, with an account of every reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

import polars as pl

from sensorssm.names import ASSET
from sensorssm_pipelines.ingest import Account, ingest
from sensorssm_pipelines.ingest.grades import LOW, grade
from sensorssm_pipelines.progress import Progress, silent
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import Store, draft


@dataclass(frozen=True)
class IngestReport:
    """Where every reading went, and how fast: `seconds` from the first file to the clean grid.

    `low` names the series that a model should not rely on, each with the reason.
    """

    account: Account
    assets: int
    tags: int
    reasons: dict[str, int]
    seconds: float
    low: list[str] = field(default_factory=list)

    @property
    def readings_per_second(self) -> float:
        return self.account.rows_in / self.seconds


def run(recipe: Recipe, store: Store, progress: Progress = silent) -> IngestReport:
    """Ingest the sources of a recipe into the store.

    What the store held rests on an older grid and goes, but only once every source was read and
    all of it is written.
    """
    started = perf_counter()
    found = ingest(recipe, progress)
    seconds = perf_counter() - started
    grades = grade(found.readings, found.quarantine)
    assets = pl.DataFrame({ASSET: found.assets()})
    with draft(store) as made:
        made.write_readings(found.readings)
        made.write_quarantine(found.quarantine)
        made.write_labels(found.labels)
        made.write_tags(found.tags)
        made.write_grades(grades)
        made.write_assets(assets.with_columns(description=pl.lit(recipe.description)))
    reasons = found.quarantine["reason"].cast(pl.String).value_counts().sort("count", "reason")
    return IngestReport(
        account=found.account,
        assets=len(found.assets()),
        tags=found.tags.height,
        reasons=dict(reasons.reverse().rows()),
        seconds=seconds,
        low=[f"{asset} {tag}: {why}" for asset, tag, why in _low(grades).iter_rows()],
    )


def _low(grades: pl.DataFrame) -> pl.DataFrame:
    return grades.filter(grade=LOW).select("asset", "tag", "why")
