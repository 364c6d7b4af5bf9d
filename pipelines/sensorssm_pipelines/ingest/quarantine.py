"""Readings that cannot be used, each with its reason and the place where it stood."""

from __future__ import annotations

import polars as pl

from sensorssm.errors import DataError
from sensorssm.names import ASSET, QUALITY, TAG, TIME, UNIT, VALUE
from sensorssm_pipelines.ingest.clean import CODE, REASON, TEXT
from sensorssm_pipelines.ingest.files import ROW
from sensorssm_pipelines.ingest.series import FILE, SERIES

FOREIGN_UNIT = pl.format("unit {} does not convert to {}", UNIT, "wanted")
OUT_OF_RANGE = pl.lit("outside the tag's range")

#: What to look at where nothing can be used, by the start of the reason.
_CURES = {
    "time cannot": "Set time_format as the files write times, and their time_zone",
    "time": "Check time_format: a count since 1970 may be in s, ms, us or ns",
    "unknown quality": "Check quality, the dialect of the codes",
    "not a number": "Check decimal_comma and separator",
    "unit": "Check the unit of the tag",
    "outside": "Check low, high and unit of the tag",
}


def to_quarantine(readings: pl.DataFrame, place: str) -> pl.DataFrame:
    """Return the readings of the file at `place` that have a reason, as rows of quarantine."""
    return readings.filter(pl.col(REASON).is_not_null()).select(
        pl.col(ASSET, TAG).cast(pl.String),
        TIME,
        pl.col(TEXT).alias(VALUE),
        pl.col(CODE).alias(QUALITY),
        REASON,
        pl.format("{}:{}", pl.lit(place), ROW).alias("source"),
    )


def set_aside(readings: pl.DataFrame, reason: pl.Expr, places: list[str]) -> pl.DataFrame:
    """Return readings that could be read, but not used for `reason`, as rows of quarantine."""
    names = pl.col(FILE).replace_strict(dict(enumerate(places)), return_dtype=pl.String)
    return readings.select(
        pl.col(*SERIES).cast(pl.String),
        TIME,
        pl.col(VALUE).cast(pl.String),
        pl.col(QUALITY).cast(pl.String),
        reason.cast(pl.Categorical).alias(REASON),
        pl.format("{}:{}", names, ROW).alias("source"),
    )


def nothing_usable(name: str, listed: int, quarantine: pl.DataFrame) -> DataError:
    """Return the error that says why no reading is left, where the first stood, and what to do."""
    found = f"no usable reading for recipe {name!r}"
    if quarantine.is_empty():
        return DataError(f"{found}: the files hold none. Check the source.")
    worst = quarantine[REASON].cast(pl.String).mode().sort()[0]
    first = quarantine.filter(pl.col(REASON).cast(pl.String) == worst)["source"][0]
    cures = (cure for start, cure in _CURES.items() if worst.startswith(start))
    return DataError(
        f"{found}: all {listed} were set aside, most for: {worst} (first in {first}). "
        f"{next(cures, 'Check the source')}."
    )
