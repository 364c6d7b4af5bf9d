"""Parquet tables: one folder an asset, one file a month, each replaced whole by a rename.

A table without a time has one file an asset.
"""

from __future__ import annotations

import os
import tempfile
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

import polars as pl

from sensorssm.errors import StoreError
from sensorssm_pipelines.store.rows import as_utc, conform
from sensorssm_pipelines.store.table import SPAN, Table

_NO_ASSET = "__HIVE_DEFAULT_PARTITION__"  # Hive's own word for a partition without a value
_LONGEST = 200  # bytes; file systems take 255, and "asset=" stands before the name
_UNDATED = "undated"


class History:
    """The Parquet half of a store.

    A month is merged with what it held, sorted by the table's key, written beside the old file
    and renamed over it: a reader sees the old month or the new one, never a half of it, and
    writing the same rows again changes nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, table: Table, frame: pl.DataFrame) -> None:
        """Insert the rows of `frame`, replacing those with the same key."""
        month = pl.lit(None) if table.time is None else pl.col(table.time).dt.strftime("%Y-%m")
        rows = conform(table, frame).with_columns(_month=month)
        for (asset, month), part in rows.group_by("asset", "_month", maintain_order=True):
            path = self._folder(table, asset) / f"{month or _UNDATED}.parquet"
            _merge(table, path, part.drop("asset", "_month"))

    def read(
        self,
        table: Table,
        asset: str | None = None,
        start: datetime | str | None = None,
        end: datetime | str | None = None,
    ) -> pl.DataFrame:
        """Return the rows of one asset, or of all, with ``start <= time < end``, by key."""
        low, high = as_utc(start), as_utc(end)
        folders = [self._folder(table, asset)] if asset is not None else self._folders(table)
        parts = [
            part for folder in folders if (part := _read(table, folder, low, high)) is not None
        ]
        return pl.concat(parts) if parts else pl.DataFrame(schema=table.schema)

    def spans(self, table: Table) -> pl.DataFrame:
        """Return asset, begin, end: the first and last time of each asset's rows.

        The first and the last month tell; no other is read.
        """
        time = pl.col(table.time or "")
        parts = [
            pl.concat(_load(month).select(time) for month in {*months[:1], *months[-1:]}).select(
                asset=pl.lit(_asset(folder), pl.String), begin=time.min(), end=time.max()
            )
            for folder in self._folders(table)
            if (months := _listed(folder, "*.parquet"))
        ]
        return pl.concat(parts) if parts else pl.DataFrame(schema=SPAN.schema)

    def _folder(self, table: Table, asset: str | None) -> Path:
        return (
            self.folder / table.name / f"asset={_NO_ASSET if asset is None else folder_name(asset)}"
        )

    def _folders(self, table: Table) -> list[Path]:
        return _listed(self.folder / table.name, "asset=*")


def _listed(folder: Path, pattern: str) -> list[Path]:
    """Return what lies in `folder`; nothing where a run that rebuilds the store just cleared it."""
    try:
        return sorted(folder.glob(pattern))
    except FileNotFoundError:
        return []


def folder_name(asset: str) -> str:
    """Return an asset's name as a folder name that cannot leave its parent.

    Raises
    ------
    StoreError : a name that is too long for a folder.
    """
    name = quote(asset, safe=" ").replace(".", "%2E").replace(_NO_ASSET, f"%5F{_NO_ASSET[1:]}")
    if len(name) > _LONGEST:
        raise StoreError(
            f"an asset is named {asset[:40]!r}..., {len(name)} bytes as the name of a folder; "
            f"at most {_LONGEST} fit. Shorten its name in the files or the recipe."
        )
    return name


def _asset(folder: Path) -> str | None:
    name = folder.name.removeprefix("asset=")
    return None if name == _NO_ASSET else unquote(name)


def _merge(table: Table, path: Path, rows: pl.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        rows = pl.concat([_load(path), rows])
    rows = rows.unique(subset=list(table.key), keep="last", maintain_order=True).sort(*table.key)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        rows.write_parquet(temporary, compression="zstd", statistics=True)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _load(path: Path) -> pl.DataFrame:
    try:
        # By its bytes: a path would be opened twice, and a writer may rename a new file in between.
        return pl.read_parquet(path.read_bytes(), hive_partitioning=False)
    except pl.exceptions.PolarsError as error:
        raise StoreError(
            f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}. "
            "Move it away and run the job again."
        ) from error


def _read(
    table: Table, folder: Path, low: datetime | None, high: datetime | None
) -> pl.DataFrame | None:
    parts = []
    for path in _listed(folder, "*.parquet"):
        if not _overlaps(path.stem, low, high):
            continue
        rows = _load(path)
        if low is not None:
            rows = rows.filter(pl.col(table.time or "") >= low)
        if high is not None:
            rows = rows.filter(pl.col(table.time or "") < high)
        parts.append(rows)
    if not parts:
        return None
    asset = pl.lit(_asset(folder), dtype=pl.String).alias("asset")
    return pl.concat(parts).select(asset, pl.exclude("asset")).select(*table.columns)


def _overlaps(month: str, low: datetime | None, high: datetime | None) -> bool:
    if month == _UNDATED:
        return low is None and high is None
    return (low is None or month >= f"{low:%Y-%m}") and (high is None or month <= f"{high:%Y-%m}")
