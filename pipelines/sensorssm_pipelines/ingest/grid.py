"""From readings at any times to one clean grid per asset, in which null means missing."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from sensorssm.errors import DataError
from sensorssm.names import ASSET, QUALITY, TAG, TIME, VALUE

_MOST_CELLS = 20_000_000  # of all assets together: two days of one tag at 10 ms hold 17 million


def to_grid(readings: pl.DataFrame, step: timedelta | None) -> pl.DataFrame:
    """Return every (asset, time, tag) in order, with the mean of its interval's readings.

    A grid time is the *end* of its interval: the reading at t belongs to the first grid time not
    before t, so that nothing looks ahead. Each asset runs from its first to its last reading; the
    quality of a cell is the worst of its readings. Without a step the grid is the asset's own
    times.

    Parameters
    ----------
    readings : DataFrame of asset, tag, time, value, quality; sorted, no key twice
    step : timedelta or None
        The period of the grid, counted from 1970-01-01 UTC.

    Raises
    ------
    DataError : the grid would be absurdly large, as when one time is years off, or when many tags
        are read at times of their own and there is no step to bring them together.
    """
    means = (
        readings.lazy()
        .with_columns(pl.col(TIME) if step is None else _interval_end(step))
        .group_by(ASSET, TAG, TIME, maintain_order=True)  # a fixed order: sums repeat bit by bit
        .agg(_mean(), pl.col(QUALITY).max())
        .collect(engine="in-memory")
    )
    cells = _times(means, step).join(_tags(means), on=ASSET, maintain_order="left_right")
    grid = cells.join(means, on=[ASSET, TAG, TIME], how="left", maintain_order="left")
    return grid.select(
        pl.col(ASSET).cast(pl.String), TIME, pl.col(TAG).cast(pl.String), VALUE, QUALITY
    )


def to_wide(grid: pl.DataFrame, asset: str) -> pl.DataFrame:
    """Return one asset's grid as a wide frame: `time` and one column a tag, in order of name."""
    rows = grid.filter(pl.col(ASSET) == asset)
    wide = rows.pivot(on=TAG, index=TIME, values=VALUE).sort(TIME)
    return wide.select(TIME, *sorted(set(wide.columns) - {TIME}))


def labels_to_grid(labels: pl.DataFrame, step: timedelta | None) -> pl.DataFrame:
    """Return labelled spans as the grid's rows see them: both ends at the end of their interval.

    A span that begins and ends between two grid times still marks the one row its readings are in.
    """
    if step is None:
        return labels
    started = _interval_end(step, "started")
    ended = pl.max_horizontal(_interval_end(step, "ended"), started + step)
    return labels.with_columns(started, ended.alias("ended"))


def _interval_end(step: timedelta, column: str = TIME) -> pl.Expr:
    width = step // timedelta(microseconds=1)
    ticks = pl.col(column).cast(pl.Int64)
    return (-((-ticks) // width) * width).cast(pl.Datetime("us", "UTC")).alias(column)


def _mean() -> pl.Expr:
    """Return the mean of an interval's readings; of huge ones too, whose sum is no number."""
    value = pl.col(VALUE)
    mean = value.mean()
    return pl.when(mean.is_finite()).then(mean).otherwise((value / pl.len()).sum()).alias(VALUE)


def _times(means: pl.DataFrame, step: timedelta | None) -> pl.DataFrame:
    """Return every time of each asset's grid, ordered by the asset's name and by time."""
    name = pl.col(ASSET).cast(pl.String)
    time = pl.col(TIME)
    spans = means.group_by(ASSET).agg(
        time.min().alias("first"), time.max().alias("last"), time.n_unique().alias("rows"),
        pl.col(TAG).n_unique().alias("tags"),
    )  # fmt: skip
    if step is not None:
        width = step // timedelta(microseconds=1)
        length = (pl.col("last") - pl.col("first")).dt.total_microseconds()
        spans = spans.with_columns((length // width + 1).alias("rows"))
    _check_size(spans, step)
    if step is None:
        return means.select(ASSET, TIME).unique().sort(name, TIME)
    times = pl.datetime_ranges("first", "last", interval=step).alias(TIME)
    return spans.sort(name).select(ASSET, times).explode(TIME)


def _check_size(spans: pl.DataFrame, step: timedelta | None) -> None:
    """Raise where the assets' grids have too many cells, and name the asset with the most."""
    sized = spans.with_columns((pl.col("rows").cast(pl.Int64) * pl.col("tags")).alias("cells"))
    total = sized["cells"].sum()
    if total <= _MOST_CELLS:
        return
    most = sized.sort("cells").row(-1, named=True)
    what = "without a period" if step is None else f"of period {step}"
    cure = (
        "Set a period in [grid]: tags that are read at times of their own make a row each"
        if step is None
        else "Use a longer period in [grid], or, where a time is off, check time_format, or set "
        "earliest and latest in the source"
    )
    raise DataError(
        f"the grid {what} has {total:,} cells; at most {_MOST_CELLS:,} are made. Asset "
        f"{most[ASSET]!r} has the most: {most['rows']:,} times of {most['tags']:,} tags, from "
        f"{most['first']} to {most['last']}. {cure}."
    )


def _tags(means: pl.DataFrame) -> pl.DataFrame:
    """Return the tags of each asset, in order of their names."""
    return means.select(ASSET, TAG).unique().sort(pl.col(TAG).cast(pl.String))
