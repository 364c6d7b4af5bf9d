"""What a series needs before it goes on a grid: one unit, one reading for each time."""

from __future__ import annotations

import polars as pl

from sensorssm.names import ASSET, QUALITY, TAG, TIME, UNIT, VALUE, Quality
from sensorssm_pipelines.ingest.units import conversions
from sensorssm_pipelines.recipes.parts import Tag

#: The number of the file a reading came from; with its row it gives the order of arrival.
FILE = "file"
SERIES = (ASSET, TAG)


def convert(readings: pl.DataFrame, tags: list[Tag]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the readings in their tag's unit, and those whose unit does not convert to `wanted`.

    A tag whose unit the recipe leaves open takes the one that most of its readings have.
    """
    found = (
        readings.filter(pl.col(UNIT).is_not_null())
        .group_by(TAG, UNIT)
        .agg(pl.len().alias("rows"))
        .with_columns(pl.col(TAG, UNIT).cast(pl.String))
        .sort("rows", UNIT, descending=[True, False])
    )
    wanted = dict(found.unique(TAG, keep="first", maintain_order=True).select(TAG, UNIT).rows())
    wanted |= {tag.name: tag.unit for tag in tags if tag.unit is not None}
    others = [(tag, unit, wanted[tag]) for tag, unit, _ in found.rows() if unit != wanted[tag]]
    if not others:
        return readings, readings.clear().with_columns(wanted=pl.lit(None, pl.Categorical()))
    table = conversions(others).with_columns(pl.col(TAG, UNIT, "wanted").cast(pl.Categorical))
    joined = readings.join(table, on=[TAG, UNIT], how="left", maintain_order="left")
    is_foreign = pl.col("wanted").is_not_null() & pl.col("factor").is_null()
    converted = joined.filter(~is_foreign).with_columns(
        pl.col(VALUE) * pl.col("factor").fill_null(1) + pl.col("offset").fill_null(0),
        pl.coalesce("wanted", UNIT).alias(UNIT),
    )
    foreign = joined.filter(is_foreign).select(*readings.columns, "wanted")
    return converted.select(readings.columns), foreign


def in_range(readings: pl.DataFrame, tags: list[Tag]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the readings that their tag's transmitter can give, and those that it cannot.

    A broken wire reads as a number: -9999, or a value far below the range. Limits are in the tag's
    unit; a tag without limits can read anything.
    """
    limits = [(tag.name, tag.low, tag.high) for tag in tags if (tag.low, tag.high) != (None, None)]
    if not limits:
        return readings, readings.clear()
    schema = {TAG: pl.Categorical(), "low": pl.Float64, "high": pl.Float64}
    table = pl.DataFrame(limits, schema=schema, orient="row")
    joined = readings.join(table, on=TAG, how="left", maintain_order="left")
    is_out = (pl.col(VALUE) < pl.col("low")) | (pl.col(VALUE) > pl.col("high"))
    is_out = is_out.fill_null(False)
    kept, out = joined.filter(~is_out), joined.filter(is_out)
    return kept.select(readings.columns), out.select(readings.columns)


def deduplicate(readings: pl.DataFrame) -> pl.DataFrame:
    """Return one reading for each (asset, tag, time), sorted, with `late` for those out of order.

    The best quality wins, then the last to arrive; `readings` stand in order of arrival.
    """
    # One integer a series and one a (time, quality): sorting those two is 15 times faster than
    # sorting by names, time, quality and arrival.
    series = pl.col(ASSET).to_physical().cast(pl.UInt64) * 2**32 + pl.col(TAG).to_physical()
    rank = pl.col(TIME).cast(pl.Int64) * len(Quality) + (int(Quality.BAD) - pl.col(QUALITY))
    ordered = (
        readings.with_columns(series.alias("series"), rank.alias("rank"))
        .with_columns((pl.col(TIME) < pl.col(TIME).cum_max().over("series")).alias("late"))
        .sort("series", "rank", maintain_order=True)
    )
    repeated = (pl.col("series") == pl.col("series").shift(-1)) & (
        pl.col(TIME) == pl.col(TIME).shift(-1)
    )
    return ordered.filter(~repeated.fill_null(False)).drop("series", "rank")
