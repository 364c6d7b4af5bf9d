"""Find a source's files and scan each as long raw readings, whatever its layout."""

from __future__ import annotations

import codecs
import re
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path

import polars as pl

from sensorssm.errors import DataError, MissingFileError
from sensorssm.names import ASSET, QUALITY, TAG, TIME, UNIT, VALUE
from sensorssm_pipelines.recipes.parts import Source

#: Where a reading stood: its row in the file, counted from 1 below the header.
ROW = "sensorssm:row"
#: What a wide file's own columns may be called, so the frame's names wait under others.
_PRIVATE = {name: f"sensorssm:{name}" for name in (ASSET, TIME, TAG, VALUE)}
_FILE_NAME = "{file}"
_UTF_16 = {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
#: What reading a damaged file raises; a torn Parquet page makes the reader panic.
_DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)


def find_files(source: Source) -> list[Path]:
    """Return the files of a source in natural order of their names.

    Raises
    ------
    MissingFileError : the path does not exist, or holds no file that fits.
    """
    path = Path(source.path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MissingFileError(
            f"no file or folder at {path}. Check the path of the source, and --data."
        )
    found = {file for pattern in source.files for file in path.glob(pattern) if file.is_file()}
    found -= {file for pattern in source.exclude for file in path.glob(pattern)}
    if not found:
        raise MissingFileError(f"no file in {path} fits {' or '.join(source.files)}.")
    return sorted(found, key=lambda file: _natural(str(file)))


def place_of(file: Path, source: Source) -> str:
    """Return where a file stands below its source's path; a single file is its own name."""
    folder = Path(source.path)
    return file.name if file == folder else file.relative_to(folder).as_posix()


def scan_file(file: Path, source: Source) -> tuple[pl.LazyFrame, pl.Schema]:
    """Return a file's own columns with its row numbers, and its schema; text stays text.

    Raises
    ------
    DataError : an empty or unreadable file, one of another encoding, or two columns of one name.
    """
    try:
        frame = _scan(file, source)
        schema = frame.collect_schema()
    except _DAMAGE as error:
        raise _unreadable(file, error) from error
    if file.suffix.lower() != ".parquet":
        _refuse_encoding(file, schema, source)
    repeated = [name for name in schema if re.fullmatch(r".+_duplicated_\d+", name)]
    if repeated:
        raise DataError(
            f"{file} has two columns named {repeated[0].rsplit('_', 2)[0]!r}. Rename one."
        )
    return frame, schema


def collect(frame: pl.LazyFrame, file: Path, *, whole: bool = False) -> pl.DataFrame:
    """Run a query over a scanned file; DataError where the file turns out to be damaged.

    A line of a CSV file with more cells than the header is only seen where all columns are read:
    `whole` reads them.
    """
    flags = pl.QueryOptFlags(projection_pushdown=not whole or file.suffix.lower() == ".parquet")
    try:
        return frame.collect(engine="streaming", optimizations=flags)
    except _DAMAGE as error:
        raise DataError(
            f"{file} cannot be read to its end: {str(error).splitlines()[0]}. Check its encoding, "
            "its separator, and that no line has more cells than the header."
        ) from error


def as_long(
    file: Path, frame: pl.LazyFrame, schema: pl.Schema, source: Source, tags: list[str]
) -> pl.LazyFrame:
    """Return a scanned file as rows of asset, tag, time, value, quality, unit and row.

    In a wide file every column that is neither time, asset, label nor ignored is a tag, or only
    those of `tags` when it names any; an empty cell is no reading.

    Raises
    ------
    DataError : a column that is missing, unmapped (quality), or, in a wide file, no number.
    """
    reshape = _wide if source.layout == "wide" else _long
    for name in _mapped(source):
        _require(name, schema, file)
    return reshape(file, frame, schema, source, tags)


def asset_of(file: Path, source: Source) -> pl.Expr:
    """Return the expression that gives each row of `file` its asset."""
    if source.columns.asset is not None:
        return pl.col(source.columns.asset).cast(pl.String).str.strip_chars().alias(ASSET)
    return pl.lit(file.stem if source.asset == _FILE_NAME else source.asset).alias(ASSET)


def _long(
    file: Path, frame: pl.LazyFrame, schema: pl.Schema, source: Source, tags: list[str]
) -> pl.LazyFrame:
    columns = source.columns
    for name in schema:
        if name.lower() == QUALITY and columns.quality is None and name not in source.ignore:
            raise DataError(
                f"{file} has a column {name!r} that the recipe does not map. Set columns.quality "
                "and the dialect of its codes, or list it in ignore."
            )
    nothing = pl.lit(None, pl.String)
    return frame.select(
        asset_of(file, source),
        pl.col(columns.tag).cast(pl.String).str.strip_chars().alias(TAG),
        pl.col(columns.time).alias(TIME),
        pl.col(columns.value).alias(VALUE),
        (pl.col(columns.quality) if columns.quality else nothing).alias(QUALITY),
        (pl.col(columns.unit).cast(pl.String) if columns.unit else nothing).alias(UNIT),
        ROW,
    )


def _wide(
    file: Path, frame: pl.LazyFrame, schema: pl.Schema, source: Source, tags: list[str]
) -> pl.LazyFrame:
    columns = source.columns
    known = {*_mapped(source), *source.ignore, ROW}
    names = tags or [name for name in schema if name not in known]
    for name in names:
        _require(name, schema, file)
        _require_numbers(name, frame, schema, file)
    long = frame.select(
        asset_of(file, source).alias(_PRIVATE[ASSET]),
        pl.col(columns.time).alias(_PRIVATE[TIME]),
        ROW,
        *names,
    ).unpivot(
        names,
        index=[_PRIVATE[ASSET], _PRIVATE[TIME], ROW],
        variable_name=_PRIVATE[TAG],
        value_name=_PRIVATE[VALUE],
    )
    named = long.rename({private: name for name, private in _PRIVATE.items()})
    present = named.filter(pl.col(VALUE).is_not_null())
    nothing = pl.lit(None, pl.String)
    return present.select(ASSET, TAG, TIME, VALUE, nothing.alias(QUALITY), nothing.alias(UNIT), ROW)


def _refuse_encoding(file: Path, schema: pl.Schema, source: Source) -> None:
    """Raise DataError for a CSV file whose header is not of the encoding that the recipe says."""
    with file.open("rb") as opened:
        is_wide = opened.read(2) in _UTF_16
    if is_wide != (source.encoding == "utf-16"):
        found = "is UTF-16: set" if is_wide else "is not UTF-16: correct"
        raise DataError(f"{file} {found} encoding, or export it as UTF-8.")
    if source.encoding == "utf8" and any("\ufffd" in name for name in schema):
        raise DataError(
            f"{file} is not UTF-8. Set encoding: 'windows-1252' for most files of Western Europe, "
            "'utf8-lossy' to read on with gaps."
        )


def _scan(file: Path, source: Source) -> pl.LazyFrame:
    if file.suffix.lower() == ".parquet":
        return pl.scan_parquet(file, row_index_name=ROW, row_index_offset=1)
    return pl.scan_csv(
        file if source.encoding.startswith("utf8") else _decoded(file, source.encoding),
        separator=source.separator,
        infer_schema=False,  # "Bad Input" in a column of numbers is a reading to set aside
        row_index_name=ROW,
        row_index_offset=1,
        encoding="utf8-lossy" if source.encoding == "utf8-lossy" else "utf8",
    )


def _decoded(file: Path, encoding: str) -> BytesIO:
    """Return a file's text as UTF-8, which is all that the reader takes."""
    return BytesIO(file.read_bytes().decode(encoding, errors="replace").encode())


def _mapped(source: Source) -> list[str]:
    """Return the names of the columns that the recipe names for this source."""
    columns = source.columns
    names = [columns.time, columns.asset, source.label]
    if source.layout == "long":
        names += [columns.tag, columns.value, columns.quality, columns.unit]
    return [name for name in names if name is not None]


def _require(name: str, schema: pl.Schema, file: Path) -> None:
    if name not in schema:
        found = [column for column in schema if column != ROW]
        near = get_close_matches(name, found, n=1)
        marks = [mark for mark in ";\t|," if len(found) == 1 and mark in found[0]]
        hint = f" Did you mean {near[0]!r}?" if near else ""
        if marks:
            hint = f" Its columns seem to be separated by {marks[0]!r}: set separator."
        raise DataError(
            f"{file} has no column {name!r}.{hint} It has {_listed(found)}. "
            "Name its columns in the recipe."
        )


def _require_numbers(name: str, frame: pl.LazyFrame, schema: pl.Schema, file: Path) -> None:
    """Raise DataError where a wide file's column holds no number at all."""
    dtype = schema[name]
    if dtype.is_numeric() or dtype == pl.Boolean or dtype == pl.Null:
        return
    if dtype == pl.String:
        held = pl.col(name).is_not_null()
        number = pl.col(name).str.strip_chars().str.replace(",", ".").cast(pl.Float64, strict=False)
        facts = frame.select(
            held.any().alias("held"),
            number.is_not_null().any().alias("number"),
            pl.col(name).filter(held).first().alias("first"),
        )
        some = collect(facts, file).row(0, named=True)
        if some["number"] or not some["held"]:
            return
        dtype = f"text such as {some['first']!r}"
    raise DataError(
        f"column {name!r} of {file} holds {dtype} where numbers are wanted. "
        "List it in ignore, or map it in columns."
    )


def _unreadable(file: Path, error: BaseException) -> DataError:
    if file.stat().st_size == 0:
        return DataError(f"{file} is empty (0 bytes). Export it again, or list it in exclude.")
    return DataError(
        f"{file} cannot be read: {str(error).splitlines()[0]}. "
        "Check that it is whole, its separator, and its encoding."
    )


def _natural(text: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def _listed(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
