"""How far each series can be relied on, before a model learns from it: high, medium or low."""

from __future__ import annotations

import polars as pl

from sensorssm.names import ASSET, TAG, VALUE

HIGH, MEDIUM, LOW = "high", "medium", "low"

#: From which share on a series is medium, and low.
_MISSING = (0.05, 0.30)
_GAP = (0.05, 0.20)
_SET_ASIDE = (0.05, 0.30)


def grade(readings: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Return asset, tag, grade, why, missing, gap and quarantined, one row a series.

    `missing` is the share of the grid's rows without a value, `gap` that of the longest run of
    them, `quarantined` how many raw readings were set aside. A series that never moves teaches
    nothing, and is low. `why` names what spoke against it, worst first; "" for high.

    Parameters
    ----------
    readings : the grid of asset, time, tag, value; null = missing; each series in order of time
    quarantine : what was set aside, with asset and tag
    """
    run = pl.col(VALUE).is_null().rle()
    gap = run.struct.field("len").filter(run.struct.field("value")).max().fill_null(0)
    series = readings.group_by(ASSET, TAG, maintain_order=True).agg(
        pl.len().alias("rows"),
        pl.col(VALUE).is_null().mean().alias("missing"),
        (gap / pl.len()).alias("gap"),
        (pl.col(VALUE).drop_nulls().n_unique() <= 1).alias("stands"),
    )
    counts = quarantine.group_by(ASSET, TAG).agg(pl.len().cast(pl.Int64).alias("quarantined"))
    found = series.join(counts, on=[ASSET, TAG], how="left", maintain_order="left")
    found = found.with_columns(pl.col("quarantined").fill_null(0))
    share = pl.col("quarantined") / pl.col("rows")
    levels = {
        "never moves": pl.col("stands").cast(pl.Int8) * 2,
        "missing": _level(pl.col("missing"), _MISSING),
        "one long gap": _level(pl.col("gap"), _GAP),
        "quarantined": _level(share, _SET_ASIDE),
    }
    against = [
        pl.when(level == worth).then(pl.lit(word))
        for worth in (2, 1)
        for word, level in levels.items()
    ]
    return found.select(
        ASSET,
        TAG,
        pl.max_horizontal(*levels.values())
        .replace_strict({0: HIGH, 1: MEDIUM, 2: LOW}, return_dtype=pl.String)
        .alias("grade"),
        pl.concat_str(against, separator=", ", ignore_nulls=True).alias("why"),
        "missing",
        "gap",
        "quarantined",
    )


def _level(share: pl.Expr, limits: tuple[float, float]) -> pl.Expr:
    medium, low = limits
    return (share > medium).cast(pl.Int8) + (share > low).cast(pl.Int8)
