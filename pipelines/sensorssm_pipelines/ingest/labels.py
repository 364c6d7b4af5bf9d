"""Labelled spans from a column that marks rows as anomalous."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl

from sensorssm.errors import DataError
from sensorssm.names import ASSET, TIME
from sensorssm_pipelines.ingest.files import asset_of, collect, scan_file
from sensorssm_pipelines.ingest.times import utc_time
from sensorssm_pipelines.recipes.parts import Source

_WORDS = {"true": "1", "yes": "1", "false": "0", "no": "0"}
_EMPTY = {None, "", "nan"}
_JUST = timedelta(microseconds=1)  # the last row belongs to its span, and no row follows to end it


def read_labels(file: Path, source: Source) -> pl.DataFrame:
    """Return the spans that the label column marks: asset, started, ended, kind, source.

    A row is marked by true, yes or a number other than zero; an empty cell marks nothing. A span
    is half open: it ends at the first row after it, or just after the file's last row.

    Raises
    ------
    DataError : a label that is neither such a word nor a number.
    """
    frame, schema = scan_file(file, source)
    time = source.columns.time
    text = pl.col(source.label or "").cast(pl.String).str.strip_chars().str.to_lowercase()
    number = text.replace(_WORDS).cast(pl.Float64, strict=False).fill_nan(None)
    _check(file, collect(frame.select(text.filter(number.is_null()).alias("odd").unique()), file))
    marked = number.fill_null(0) != 0
    rows = frame.select(
        asset_of(file, source),
        utc_time(time, schema[time], source.time_format, source.time_zone).alias(TIME),
        marked.alias("marked"),
    ).drop_nulls(TIME)
    runs = (
        collect(rows, file)
        .sort(ASSET, TIME, maintain_order=True)
        .with_columns(
            pl.col("marked").rle_id().over(ASSET).alias("run"),
            pl.col(TIME).shift(-1).over(ASSET).fill_null(pl.col(TIME) + _JUST).alias("next"),
        )
    )
    return (
        runs.filter("marked")
        .group_by(ASSET, "run", maintain_order=True)
        .agg(pl.col(TIME).first().alias("started"), pl.col("next").last().alias("ended"))
        .select(
            ASSET,
            "started",
            "ended",
            pl.lit("labelled").alias("kind"),
            pl.lit(file.name).alias("source"),
        )
    )


def _check(file: Path, odd: pl.DataFrame) -> None:
    for label in sorted(set(odd["odd"]) - _EMPTY):
        raise DataError(
            f"{file} has a label {label!r}. Wanted true, false, yes, no, or a number; "
            "zero is no fault."
        )
