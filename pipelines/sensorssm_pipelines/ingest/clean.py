"""From raw readings to readings that can be used, and to quarantine with a reason."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from sensorssm.names import ASSET, QUALITY, TAG, TIME, UNIT, VALUE, Quality
from sensorssm_pipelines.ingest.files import ROW, as_long, collect, scan_file
from sensorssm_pipelines.ingest.quality import quality_class
from sensorssm_pipelines.ingest.times import FIRST, LAST, utc_time
from sensorssm_pipelines.recipes.parts import Source
from sensorssm_pipelines.store.rows import as_utc

_NAME = pl.Categorical()
TEXT, CODE, REASON = "text", "code", "reason"


def read_file(file: Path, source: Source, tags: list[str]) -> pl.DataFrame:
    """Return the readings of one file, typed, with a `reason` where one cannot be used.

    Columns: asset, tag, unit (categorical), time (UTC), value (Float64), quality (UInt8), row,
    and, where there is a reason, `text` and `code`: value and quality as the file had them.

    Raises
    ------
    DataError : the file is empty or damaged, or a column is missing or of the wrong kind.
    """
    frame, schema = scan_file(file, source)
    long = as_long(file, frame, schema, source, tags)
    return collect(_typed(long, source), file, whole=True)


def _typed(long: pl.LazyFrame, source: Source) -> pl.LazyFrame:
    schema = long.collect_schema()
    text = pl.col(VALUE).cast(pl.String)
    judged = long.with_columns(
        utc_time(TIME, schema[TIME], source.time_format, source.time_zone),
        _number(schema[VALUE], source.decimal_comma),
        quality_class(pl.col(QUALITY), source.quality or "none").alias(QUALITY),
        text.alias(TEXT),
        pl.col(QUALITY).cast(pl.String).alias(CODE),
    ).with_columns(_reason(source).alias(REASON))
    unusable = pl.col(REASON).is_not_null()
    return judged.select(
        pl.col(ASSET, TAG, UNIT).cast(_NAME),
        TIME,
        VALUE,
        QUALITY,
        pl.col(ROW).cast(pl.UInt32),
        pl.when(unusable).then(TEXT).alias(TEXT),
        pl.when(unusable).then(CODE).alias(CODE),
        pl.col(REASON).cast(_NAME),
    )


def _number(dtype: pl.DataType, decimal_comma: bool) -> pl.Expr:
    """Return the value as a number; null where it is none, and where it is missing."""
    if dtype != pl.String:
        return pl.col(VALUE).cast(pl.Float64, strict=False)
    text = pl.col(VALUE).str.strip_chars()
    text = text.str.replace(",", ".", literal=True) if decimal_comma else text
    return text.cast(pl.Float64, strict=False)


def _reason(source: Source) -> pl.Expr:
    """Return why a reading cannot be used, null when it can; the first that fits counts."""
    time, value, quality = pl.col(TIME), pl.col(VALUE), pl.col(QUALITY)
    empty = pl.col(TEXT).is_null() | (pl.col(TEXT).str.strip_chars() == "")
    return (
        pl.when(pl.col(ASSET).is_null() | (pl.col(ASSET) == ""))
        .then(pl.lit("no asset"))
        .when(pl.col(TAG).is_null() | (pl.col(TAG) == ""))
        .then(pl.lit("no tag"))
        .when(time.is_null())
        .then(pl.lit("time cannot be read or placed"))
        .when((time < as_utc(source.earliest)) | (time < as_utc(FIRST)))
        .then(pl.lit("time before the earliest allowed"))
        .when((time > as_utc(source.latest or LAST)) | (time > as_utc(LAST)))
        .then(pl.lit("time after the latest allowed"))
        .when(quality.is_null())
        .then(pl.lit("unknown quality code"))
        .when(quality == int(Quality.BAD))
        .then(pl.lit("bad quality"))
        .when(empty)
        .then(pl.lit("no value"))
        .when(value.is_null())
        .then(pl.lit("not a number"))
        .when(~value.is_finite())
        .then(pl.lit("not finite"))
        .otherwise(None)
    )
