"""Raw files in; a clean grid, a quarantine and an account of every reading out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sensorssm.errors import DataError, UnknownTagError
from sensorssm.names import ASSET, TAG, TIME, UNIT, VALUE
from sensorssm_pipelines.ingest.clean import REASON, read_file
from sensorssm_pipelines.ingest.files import find_files, place_of
from sensorssm_pipelines.ingest.grid import labels_to_grid, to_grid
from sensorssm_pipelines.ingest.labels import read_labels
from sensorssm_pipelines.ingest.quarantine import (
    FOREIGN_UNIT,
    OUT_OF_RANGE,
    nothing_usable,
    set_aside,
    to_quarantine,
)
from sensorssm_pipelines.ingest.series import FILE, SERIES, convert, deduplicate, in_range
from sensorssm_pipelines.recipes.parts import Recipe, Source, Tag
from sensorssm_pipelines.store.history import folder_name
from sensorssm_pipelines.store.schema import LABELS


@dataclass(frozen=True)
class Account:
    """Where every reading went: ``rows_in = rows_out + deduplicated + quarantined``.

    `rows_in` counts the readings of the tags in use (cells with a value in a wide file);
    `rows_out` those behind a value of the grid; `deduplicated` those that repeat the asset, tag
    and time of another, of which the best quality and then the last to arrive is used;
    `quarantined` those set aside with a reason. `late` counts, among `rows_out`, those that
    arrived after a newer one of their series and were put in their place. `cells` and `missing`
    count the grid; `unlisted` the readings of tags that the recipe does not list.
    """

    rows_in: int
    rows_out: int
    deduplicated: int
    quarantined: int
    late: int
    cells: int
    missing: int
    unlisted: int


@dataclass(frozen=True)
class Ingested:
    """The result: `readings` is the grid (asset, time, tag, value, quality), null = missing."""

    readings: pl.DataFrame
    quarantine: pl.DataFrame
    labels: pl.DataFrame
    tags: pl.DataFrame
    account: Account

    def assets(self) -> list[str]:
        return self.readings[ASSET].unique().sort().to_list()


def ingest(recipe: Recipe, progress: Callable[[str, int, int], None] | None = None) -> Ingested:
    """Read every source of a recipe onto its grid.

    Raises
    ------
    MissingFileError, DataError : a file that is missing, empty, damaged or of another shape.
    UnknownTagError : a tag of the recipe that no file holds.
    StoreError : an asset whose name no store can hold.
    """
    files = _files(recipe)
    listed = [tag.name for tag in recipe.tags]
    parts, quarantine, labels = [], [], []
    for number, (source, file, place) in enumerate(files):
        readings = read_file(file, source, listed)
        quarantine.append(to_quarantine(_listed_only(readings, listed), place))
        parts.append(
            readings.drop("text", "code").with_columns(pl.lit(number, pl.UInt32).alias(FILE))
        )
        if source.label is not None:
            labels.append(read_labels(file, source))
        if progress is not None:
            progress("reading files", number + 1, len(files))
    raw = pl.concat(parts)
    _check_tags(raw, listed)
    _check_assets(raw)
    kept = _listed_only(raw, listed)
    usable, foreign = convert(kept.filter(pl.col(REASON).is_null()), recipe.tags)
    usable, broken = in_range(usable, recipe.tags)
    places = [place for _, _, place in files]
    quarantine += [
        set_aside(foreign, FOREIGN_UNIT, places),
        set_aside(broken, OUT_OF_RANGE, places),
    ]
    return _finish(recipe, raw.height, kept.height, usable, pl.concat(quarantine), labels)


def _files(recipe: Recipe) -> list[tuple[Source, Path, str]]:
    """Return each file with its source and its place, which no other file of the recipe has."""
    several = len(recipe.sources) > 1
    return [
        (source, file, f"sources.{number}/" * several + place_of(file, source))
        for number, source in enumerate(recipe.sources)
        for file in find_files(source)
    ]


def _finish(
    recipe: Recipe,
    read: int,
    listed: int,
    usable: pl.DataFrame,
    quarantine: pl.DataFrame,
    labels: Iterable[pl.DataFrame],
) -> Ingested:
    if usable.is_empty():
        raise nothing_usable(recipe.name, listed, quarantine)
    units = usable.group_by(*SERIES).agg(pl.col(UNIT).drop_nulls().first())
    unique = deduplicate(usable)
    grid = to_grid(unique, recipe.grid.step)
    account = Account(
        rows_in=listed,
        rows_out=unique.height,
        deduplicated=usable.height - unique.height,
        quarantined=quarantine.height,
        late=int(unique["late"].sum()),
        cells=grid.height,
        missing=grid[VALUE].null_count(),
        unlisted=read - listed,
    )
    spans = pl.concat(labels) if labels else pl.DataFrame(schema=LABELS.schema)
    return Ingested(
        readings=grid,
        quarantine=quarantine,
        labels=labels_to_grid(spans, recipe.grid.step),
        tags=_tag_table(units, recipe.tags),
        account=account,
    )


def _listed_only(readings: pl.DataFrame, listed: list[str]) -> pl.DataFrame:
    """Return the rows of listed tags, and those whose tag cannot be read; all when none is."""
    if not listed:
        return readings
    return readings.filter(pl.col(TAG).is_null() | pl.col(TAG).cast(pl.String).is_in(listed))


def _check_tags(raw: pl.DataFrame, listed: list[str]) -> None:
    """Raise for a listed tag that no file holds, and for a name that every frame has."""
    found = raw[TAG].unique().cast(pl.String).drop_nulls().sort().to_list()
    for tag in sorted({TIME, ASSET} & set(found)):
        raise DataError(
            f"a tag is named {tag!r}, as a column of every frame is. "
            "Rename the tag, map its column in columns, or list it in ignore."
        )
    for tag in listed:
        if tag not in found:
            raise UnknownTagError(
                f"tag {tag!r} of the recipe is in none of the files, which hold "
                f"{', '.join(found[:12])}{' ...' if len(found) > 12 else ''}. Correct its name."
            )


def _check_assets(raw: pl.DataFrame) -> None:
    """Raise for a name that no folder can have now, before a store is cleared for its readings."""
    for asset in raw[ASSET].unique().cast(pl.String).drop_nulls():
        folder_name(asset)


def _tag_table(units: pl.DataFrame, tags: list[Tag]) -> pl.DataFrame:
    """Return asset, tag, unit, description, low, high of every series."""
    schema = {"tag": pl.String, "wanted": pl.String, "description": pl.String}
    schema |= {"low": pl.Float64, "high": pl.Float64}
    listed = pl.DataFrame(
        [(tag.name, tag.unit, tag.description, tag.low, tag.high) for tag in tags],
        schema=schema,
        orient="row",
    )
    return (
        units.with_columns(pl.col(*SERIES, UNIT).cast(pl.String))
        .join(listed, on=TAG, how="left")
        .select(*SERIES, pl.coalesce("wanted", UNIT).alias(UNIT), "description", "low", "high")
        .sort(*SERIES)
    )
