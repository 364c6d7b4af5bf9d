"""Ingestion against a slow, obvious version of itself, on data as dirty as a historian's."""

from __future__ import annotations

import csv
import math
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensorssm.errors import (
    DataError,
    MissingFileError,
    SensorSSMError,
    StoreError,
    UnknownTagError,
)
from sensorssm_pipelines.ingest import Ingested, ingest, to_wide
from sensorssm_pipelines.recipes import Recipe, parse_recipe
from sensorssm_pipelines.store import Store

START = datetime(2026, 3, 28, 23, 50, tzinfo=UTC)
LONG = """
name = "test"
store = "unused"
[[sources]]
path = "{path}"
layout = "long"
quality = "opcda"
columns = {{ asset = "asset", quality = "quality", unit = "unit" }}
[grid]
period = "5min"
[split]
fit = 0.5
"""
Row = tuple[str, str, str, str, str, str]  # asset, tag, time, value, quality, unit, as text


def recipe(path: Path, text: str = LONG, **changes: str) -> Recipe:
    for old, new in changes.items():
        text = text.replace({"period": 'period = "5min"', "layout": 'layout = "long"'}[old], new)
    return parse_recipe(text.format(path=path), "test.toml")


def write(path: Path, rows: list[Row], header: str = "asset,tag,time,value,quality,unit") -> Path:
    with path.open("w", newline="") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(rows)
    return path


@dataclass
class Truth:
    """What ingestion must give: the grid's cells, the reasons, the counts."""

    cells: dict[tuple[str, datetime, str], tuple[float, int] | None]
    reasons: Counter[str]
    deduplicated: int
    late: int


def oracle(rows: list[Row], step: timedelta) -> Truth:
    """Ingest row by row with nothing but dictionaries: the definition, in the slowest words."""
    best: dict[tuple[str, str, datetime], tuple[int, int, float]] = {}
    newest: dict[tuple[str, str], datetime] = {}
    late: dict[tuple[str, str, datetime, int], bool] = {}
    reasons: Counter[str] = Counter()
    usable = 0
    for arrival, (asset, tag, time, value, quality, _) in enumerate(rows):
        moment = datetime.fromisoformat(time) if time != "soon" else None
        klass = {"192": 0, "64": 1, "0": 2}.get(quality)
        try:
            number: float | None = float(value)
        except ValueError:
            number = None
        if moment is None:
            reasons["time cannot be read or placed"] += 1
        elif klass is None:
            reasons["unknown quality code"] += 1
        elif klass == 2:
            reasons["bad quality"] += 1
        elif value == "":
            reasons["no value"] += 1
        elif number is None:
            reasons["not a number"] += 1
        elif not math.isfinite(number):
            reasons["not finite"] += 1
        else:
            usable += 1
            late[asset, tag, moment, arrival] = moment < newest.get((asset, tag), moment)
            newest[asset, tag] = max(moment, newest.get((asset, tag), moment))
            key = (asset, tag, moment)
            if key not in best or (-klass, arrival) > (-best[key][0], best[key][1]):
                best[key] = (klass, arrival, number)
    buckets: dict[tuple[str, datetime, str], list[tuple[float, int]]] = {}
    for (asset, tag, moment), (klass, _, number) in best.items():
        end = START.replace(minute=0) - timedelta(hours=1)
        while end < moment:
            end += step
        buckets.setdefault((asset, end, tag), []).append((number, klass))
    cells: dict[tuple[str, datetime, str], tuple[float, int] | None] = {}
    for asset in {asset for asset, _, _ in buckets}:
        ends = [end for name, end, _ in buckets if name == asset]
        tags = {tag for name, _, tag in buckets if name == asset}
        end = min(ends)
        while end <= max(ends):
            for tag in tags:
                held = buckets.get((asset, end, tag))
                cells[asset, end, tag] = held and (
                    math.fsum(v for v, _ in held) / len(held),
                    max(q for _, q in held),
                )
            end += step
    arrived_late = sum(late[(*key, arrival)] for key, (_, arrival, _) in best.items())
    return Truth(cells, reasons, usable - len(best), arrived_late)


def agree(found: Ingested, rows: list[Row], truth: Truth) -> None:
    account = found.account
    assert account.rows_in == len(rows)
    assert account.rows_in == account.rows_out + account.deduplicated + account.quarantined
    assert Counter(found.quarantine["reason"].to_list()) == truth.reasons
    assert account.deduplicated == truth.deduplicated
    assert account.late == truth.late
    assert account.cells == len(truth.cells) == found.readings.height
    assert account.missing == sum(cell is None for cell in truth.cells.values())
    for asset, time, tag, value, quality in found.readings.iter_rows():
        cell = truth.cells[asset, time, tag]
        assert (value, quality) == (
            (None, None) if cell is None else (pytest.approx(cell[0]), cell[1])
        )


def dirty_row(rng: random.Random) -> Row:
    """Return a reading from a small plant, wrong in some way one time in three."""
    time = (
        START + timedelta(seconds=rng.choice([0, 1, 60, 300, 301]) * rng.randrange(12))
    ).isoformat()
    value, quality = f"{rng.uniform(-5, 5):.3f}", rng.choice(["192", "192", "64"])
    if rng.random() < 0.3:
        value = rng.choice(["", "Bad Input", "nan", "inf", "-1e400", "1,5", "#N/A"])
    if rng.random() < 0.2:
        quality = rng.choice(["0", "500", "", "GOOD"])
    if rng.random() < 0.05:
        time = "soon"
    return rng.choice(["p1", "p2"]), rng.choice(["a", "b", "c"]), time, value, quality, "bar"


@pytest.mark.parametrize("seed", range(8))
def test_a_dirty_export_is_cleaned_as_the_definition_says(tmp_path: Path, seed: int) -> None:
    """Every reading is accounted for and every cell of the grid has the right value."""
    rng = random.Random(seed)
    rows = [dirty_row(rng) for _ in range(400)]
    found = ingest(recipe(write(tmp_path / "h.csv", rows)))
    agree(found, rows, oracle(rows, timedelta(minutes=5)))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(0, 2**32), min_size=1, max_size=40))
def test_any_handful_of_readings_is_accounted_for(tmp_path: Path, seeds: list[int]) -> None:
    rows = [dirty_row(random.Random(seed)) for seed in seeds]
    truth = oracle(rows, timedelta(minutes=5))
    if not truth.cells:
        with pytest.raises(DataError, match="no usable reading"):
            ingest(recipe(write(tmp_path / "h.csv", rows)))
    else:
        agree(ingest(recipe(write(tmp_path / "h.csv", rows))), rows, truth)


def test_the_order_of_files_is_the_order_of_arrival(tmp_path: Path) -> None:
    """A correction in part 10 replaces what part 2 said, though '10' sorts before '2' as text."""
    row = ("p", "a", START.isoformat())
    write(tmp_path / "part-2.csv", [(*row, "1.0", "192", "bar")])
    write(tmp_path / "part-10.csv", [(*row, "2.0", "192", "bar")])
    assert ingest(recipe(tmp_path)).readings["value"].to_list() == [2.0]


def test_a_reading_is_stamped_with_the_end_of_its_interval(tmp_path: Path) -> None:
    """A reading on the grid keeps its time; one just after it belongs to the next."""
    times = [START, START + timedelta(microseconds=1), START + timedelta(minutes=5)]
    rows = [("p", "a", t.isoformat(), str(k), "192", "bar") for k, t in enumerate(times)]
    readings = ingest(recipe(write(tmp_path / "h.csv", rows))).readings
    assert readings["time"].to_list() == [START, START + timedelta(minutes=5)]
    assert readings["value"].to_list() == [0.0, 1.5]


def test_later_readings_change_no_earlier_cell(tmp_path: Path) -> None:
    """Nothing looks ahead: the grid of the first half is the first half of the grid."""
    rng = random.Random(0)
    rows = sorted((dirty_row(rng) for _ in range(300)), key=lambda row: row[2])
    half = [row for row in rows if row[2] < (START + timedelta(minutes=20)).isoformat()]
    whole = ingest(recipe(write(tmp_path / "all.csv", rows))).readings
    early = ingest(recipe(write(tmp_path / "half.csv", half))).readings
    both = early.join(whole, on=["asset", "time", "tag"], how="left", suffix="_whole")
    closed = both.filter(pl.col("time") <= START + timedelta(minutes=15))
    assert closed.height > 10
    assert closed["value"].equals(closed["value_whole"].alias("value"))


WIDE = """
name = "test"
store = "unused"
[[sources]]
path = "{path}"
layout = "wide"
asset = "p"
[grid]
period = "5min"
[split]
fit = 0.5
"""


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_wide_and_long_files_of_the_same_readings_are_one(tmp_path: Path, suffix: str) -> None:
    rng = random.Random(1)
    times = [START + timedelta(seconds=100 * k) for k in range(50)]
    wide = pl.DataFrame(
        {
            "time": times,
            "a": [rng.uniform(0, 1) if k % 7 else None for k in range(50)],
            "b": [rng.uniform(0, 1) for _ in range(50)],
        }
    )
    long = wide.unpivot(index="time", variable_name="tag").drop_nulls()
    long = long.select(
        pl.lit("p").alias("asset"), "tag", "time", "value", pl.lit(192).alias("quality")
    )
    long = long.with_columns(unit=pl.lit(None, pl.String))
    results = []
    for name, frame, text in [("wide", wide, WIDE), ("long", long, LONG)]:
        path = tmp_path / f"{name}.{suffix}"
        if suffix == "csv":
            frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
        else:
            frame.write_parquet(path)
        results.append(ingest(recipe(path, text)))
    assert results[0].readings.equals(results[1].readings)
    assert results[0].account == results[1].account


def test_without_a_period_an_asset_keeps_its_own_times(tmp_path: Path) -> None:
    times = [START + timedelta(seconds=s) for s in (0, 1, 3, 7)]
    rows = [("p", "a", t.isoformat(), "1", "192", "bar") for t in times]
    rows += [("p", "b", times[2].isoformat(), "2", "192", "bar")]
    found = ingest(recipe(write(tmp_path / "h.csv", rows), period=""))
    wide = to_wide(found.readings, "p")
    assert wide["time"].to_list() == times
    assert wide["b"].to_list() == [None, None, 2.0, None]


def test_units_are_converted_or_set_aside(tmp_path: Path) -> None:
    """100 kPa is 1 bar; metres are no pressure; the recipe's unit wins over the majority's."""
    given_units = [("bar", "1.5"), ("kPa", "100"), ("kPa", "200"), ("m", "3"), ("", "4")]
    rows = [
        ("p", "a", (START + timedelta(minutes=5 * k)).isoformat(), value, "192", unit)
        for k, (unit, value) in enumerate(given_units)
    ]
    text = LONG + '[[tags]]\nname = "a"\nunit = "bar"\ndescription = "head"\n'
    found = ingest(recipe(write(tmp_path / "h.csv", rows), text))
    assert found.readings["value"].to_list() == [1.5, 1.0, 2.0, None, 4.0]
    assert found.quarantine["reason"].to_list() == ["unit m does not convert to bar"]
    assert found.quarantine["source"].to_list() == ["h.csv:4"]
    assert found.tags.row(0) == ("p", "a", "bar", "head", None, None)
    account = found.account
    assert account.rows_in == account.rows_out + account.deduplicated + account.quarantined == 5


def test_what_no_transmitter_reads_is_set_aside(tmp_path: Path) -> None:
    """Limits are in the tag's own unit, after conversion, and belong to the range themselves."""
    given_units = [("bar", "0"), ("bar", "-9999"), ("kPa", "1000"), ("kPa", "1001"), ("bar", "10")]
    rows = [
        ("p", "a", (START + timedelta(minutes=5 * k)).isoformat(), value, "192", unit)
        for k, (unit, value) in enumerate(given_units)
    ] + [("p", "b", START.isoformat(), "-9999", "192", "")]
    tags = '[[tags]]\nname = "a"\nunit = "bar"\nlow = 0\nhigh = 10\n[[tags]]\nname = "b"\n'
    found = ingest(recipe(write(tmp_path / "h.csv", rows), LONG + tags))
    assert found.readings.filter(tag="a")["value"].to_list() == [0.0, None, 10.0, None, 10.0]
    assert found.readings.filter(tag="b")["value"].drop_nulls().to_list() == [-9999.0]
    assert found.quarantine["reason"].to_list() == ["outside the tag's range"] * 2
    assert found.quarantine["source"].to_list() == ["h.csv:2", "h.csv:4"]
    account = found.account
    assert account.rows_in == account.rows_out + account.deduplicated + account.quarantined == 6


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("p,a,1767225600000,1,192,bar", r"first in h\.csv:1\)\. Set time_format"),
        ('p,a,2026-01-01T00:00:00Z,"1,5",192,bar', "Check decimal_comma"),
        ("p,a,2026-01-01T00:00:00Z,1,7000,bar", "Check quality"),
        ("p,a,1960-01-01T00:00:00Z,1,192,bar", "Check time_format"),
        ("p,a,2026-01-01T00:00:00Z,1,0,bar", "Check the source"),
    ],
)
def test_where_nothing_is_left_the_setting_to_look_at_is_named(
    tmp_path: Path, row: str, words: str
) -> None:
    (tmp_path / "h.csv").write_text(f"asset,tag,time,value,quality,unit\n{row}\n")
    with pytest.raises(DataError, match=words):
        ingest(recipe(tmp_path / "h.csv"))


def test_a_wrong_separator_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text("asset;tag;time;value\np;a;2026-01-01T00:00:00Z;1\n")
    with pytest.raises(DataError, match="separated by ';': set separator"):
        ingest(recipe(tmp_path / "h.csv"))


def test_the_quarantine_names_the_file_and_row(tmp_path: Path) -> None:
    rows = [
        ("p", "a", START.isoformat(), "1", "192", "bar"),
        ("p", "a", START.isoformat(), "Bad Input", "64", "bar"),
        ("", "a", START.isoformat(), "1", "192", "bar"),
    ]
    found = ingest(recipe(write(tmp_path / "h.csv", rows))).quarantine
    assert found.select("asset", "value", "quality", "reason", "source").rows() == [
        ("p", "Bad Input", "64", "not a number", "h.csv:2"),
        (None, "1", "192", "no asset", "h.csv:3"),
    ]


def test_files_of_one_name_keep_their_own_rows_in_quarantine(tmp_path: Path) -> None:
    """Files of one name in two folders, and in two sources, lose nothing in the store."""
    row = ("p", "a", START.isoformat())
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        rows = [(*row, "1", "192", "bar"), (*row, f"Bad {folder}", "192", "bar")]
        write(tmp_path / folder / "1.csv", [*rows, (*row, "3", "192", "m")])
    text = LONG.replace('layout = "long"', 'layout = "long"\nfiles = ["**/*.csv"]')
    source = text[text.index("[[sources]]") : text.index("[grid]")]
    tag = '[[tags]]\nname = "a"\nunit = "bar"\n'
    for several, prefixes in [("", [""]), (source, ["sources.0/", "sources.1/"])]:
        found = ingest(recipe(tmp_path, text + several + tag)).quarantine
        store = Store(tmp_path / f"store{len(prefixes)}")
        store.write_quarantine(found)
        wanted = {f"{p}{f}/1.csv:{k}" for p in prefixes for f in "xy" for k in (2, 3)}
        assert set(store.read_quarantine()["source"]) == wanted
        assert store.read_quarantine().height == found.height == len(wanted)


@pytest.mark.parametrize("name", ["tag", "value", "row", "quality", "unit", "file"])
def test_a_wide_column_may_have_any_name_of_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / "w.csv").write_text(f"time,a,{name}\n2026-01-01T00:00:00Z,1,2\n")
    grid = ingest(recipe(tmp_path / "w.csv", WIDE)).readings
    assert dict(grid.select("tag", "value").rows()) == {"a": 1.0, name: 2.0}


@pytest.mark.parametrize("name", ["asset", "time"])
def test_a_wide_column_that_a_frame_keeps_for_itself_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "w.csv").write_text(f"stamp,a,{name}\n2026-01-01T00:00:00Z,1,2\n")
    text = WIDE.replace('asset = "p"', 'asset = "p"\ncolumns.time = "stamp"')
    with pytest.raises(DataError, match=f"a tag is named '{name}'.* list it in ignore"):
        ingest(recipe(tmp_path / "w.csv", text))


def test_only_listed_tags_are_read_and_the_rest_are_counted(tmp_path: Path) -> None:
    rows = [("p", tag, START.isoformat(), "1", "192", "bar") for tag in "abc"]
    path = write(tmp_path / "h.csv", rows)
    found = ingest(recipe(path, LONG + '[[tags]]\nname = "b"\n'))
    assert found.readings["tag"].to_list() == ["b"]
    assert (found.account.rows_in, found.account.unlisted) == (1, 2)
    with pytest.raises(UnknownTagError, match="tag 'd' of the recipe is in none"):
        ingest(recipe(path, LONG + '[[tags]]\nname = "d"\n'))


def test_a_label_column_becomes_spans(tmp_path: Path) -> None:
    times = [START + timedelta(seconds=s) for s in range(8)]
    frame = pl.DataFrame({"time": times, "a": [1.0] * 8, "label": [0, 1, 1, 0, 0, 1, 1, 1]})
    frame.write_parquet(tmp_path / "exp 1.parquet")
    text = WIDE.replace('asset = "p"', 'asset = "{{file}}"\nlabel = "label"')
    labels = ingest(recipe(tmp_path, text, period="")).labels
    assert labels.select("asset", "started", "ended").rows() == [
        ("exp 1", times[1], times[3]),
        ("exp 1", times[5], times[7] + timedelta(microseconds=1)),
    ]


def test_a_label_on_a_grid_marks_the_row_that_holds_its_readings(tmp_path: Path) -> None:
    """Seconds 1 and 2 of the hour are read by the grid's row of five past."""
    text = WIDE.replace('"p"', '"p"\nlabel = "label"')
    (tmp_path / "w.csv").write_text(
        "time,a,label\n"
        + "".join(f"{START + timedelta(seconds=k)},1,{int(k in (1, 2))}\n" for k in range(600))
    )
    found = ingest(recipe(tmp_path, text))
    [(started, ended)] = found.labels.select("started", "ended").rows()
    marked = found.readings.filter(pl.col("time").is_between(started, ended, closed="left"))
    assert marked["time"].to_list() == [START + timedelta(minutes=5)]


def labelled(path: Path, words: list[str]) -> pl.DataFrame:
    """Return the labels of a wide file that has a row a second, each with one of `words`."""
    times = [(START + timedelta(seconds=k)).isoformat() for k in range(len(words))]
    rows = "".join(f"{time},1,{word}\n" for time, word in zip(times, words, strict=True))
    path.write_text(f"time,a,label\n{rows}")
    return ingest(recipe(path, WIDE.replace('"p"', '"p"\nlabel = "label"'), period="")).labels


@pytest.mark.parametrize("no", ["0", "0.0", "False", "no", "", "nan"])
@pytest.mark.parametrize("yes", ["1", "1.0", "2", "True", " true ", "YES"])
def test_a_label_is_a_word_or_a_number(tmp_path: Path, no: str, yes: str) -> None:
    labels = labelled(tmp_path / "w.csv", [no, yes, yes, no])
    spans = [(START + timedelta(seconds=1), START + timedelta(seconds=3))]
    assert labels.select("started", "ended").rows() == spans


def test_a_label_that_says_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"w\.csv has a label 'leak'"):
        labelled(tmp_path / "w.csv", ["0", "leak", "1"])


def test_an_asset_whose_name_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    rows = [GOOD, ("Pümpe" * 30, *GOOD[1:])]
    with pytest.raises(StoreError, match=r"'Pümpe.*300 bytes.*Shorten its name"):
        ingest(recipe(write(tmp_path / "h.csv", rows)))


GOOD = ("p", "a", START.isoformat(), "1", "192", "bar")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"asset,tag,time,value,quality,unit\n", "the files hold none"),
        (
            b"asset,tag,time,val,quality,unit\np,a,2026-01-01T00:00:00Z,1,192,bar\n",
            "no column 'value'",
        ),
        (b"asset,tag,time,time,value,quality,unit\n", "two columns named 'time'"),
        ("asset,tag,time,value,quality,unit\np,a,x,1,192,°C\n".encode("latin-1"), "cannot be read"),
        (
            b"asset,tag,time,value,quality,unit\np,a,2026-01-01T00:00:00Z,1,192,bar,7\n",
            "cannot be read",
        ),
        (b"asset,tag,time,value,quality,unit\np,a,yesterday,1,192,bar\n", "time cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_fault(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "h.csv").write_bytes(content)
    with pytest.raises(DataError, match=words):
        ingest(recipe(tmp_path / "h.csv"))


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "h.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(DataError, match=r"h\.parquet cannot be read"):
        ingest(recipe(tmp_path / "h.parquet"))


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no file or folder at"):
        ingest(recipe(tmp_path / "none"))
    with pytest.raises(MissingFileError, match="fits"):
        ingest(recipe(tmp_path))


def test_a_wide_column_of_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("time,a,note\n2026-01-01T00:00:00Z,1,started\n")
    with pytest.raises(DataError, match=r"'note' of .* holds text such as 'started'"):
        ingest(recipe(tmp_path / "w.csv", WIDE))


def test_a_wide_line_with_a_cell_too_many_is_refused(tmp_path: Path) -> None:
    """A decimal comma shifts the cells after it, also where the last column is not read."""
    (tmp_path / "w.csv").write_text(
        "time,a,b,note\n2026-01-01T00:00:00Z,1.5,2,x\n2026-01-01T00:05:00Z,1,5,2,x\n"
    )
    with pytest.raises(DataError, match="no line has more cells than the header"):
        ingest(recipe(tmp_path / "w.csv", WIDE.replace("[grid]", 'ignore = ["note"]\n\n[grid]')))


@pytest.mark.parametrize("name", ["time", "asset"])
def test_a_tag_named_as_a_frame_s_own_column_is_refused(tmp_path: Path, name: str) -> None:
    rows = [GOOD, ("p", name, *GOOD[2:])]
    with pytest.raises(DataError, match=f"a tag is named '{name}'"):
        ingest(recipe(write(tmp_path / "h.csv", rows)))


def test_an_unmapped_quality_column_is_never_overlooked(tmp_path: Path) -> None:
    text = LONG.replace('quality = "opcda"\n', "").replace('quality = "quality", ', "")
    with pytest.raises(DataError, match="'quality' that the recipe does not map"):
        ingest(recipe(write(tmp_path / "h.csv", [GOOD]), text))


def test_one_time_years_off_does_not_fill_the_memory(tmp_path: Path) -> None:
    far = ("p", "a", "2236-01-01T00:00:00Z", "1", "192", "bar")
    with pytest.raises(DataError, match="check time_format"):
        ingest(recipe(write(tmp_path / "h.csv", [GOOD, far]), period='period = "1s"'))


def test_a_grid_too_large_over_all_assets_is_refused_by_its_period(tmp_path: Path) -> None:
    """Each of three assets would fit alone; together they would not."""
    later = (START + timedelta(days=100)).isoformat()
    rows = [(asset, "a", time, "1", "192", "bar") for asset in "pqr" for time in (GOOD[2], later)]
    with pytest.raises(DataError, match=r"grid of period 0:00:01 has 25,920,003 cells"):
        ingest(recipe(write(tmp_path / "h.csv", rows), period='period = "1s"'))


@pytest.mark.parametrize("extra", ["separator = ';'\ndecimal_comma = true\n"])
def test_semicolons_and_decimal_commas(tmp_path: Path, extra: str) -> None:
    (tmp_path / "w.csv").write_bytes("\ufefftime;a\r\n2026-01-01 00:00:00;1,5\r\n".encode())
    text = WIDE.replace('asset = "p"\n', 'asset = "p"\n' + extra)
    assert ingest(recipe(tmp_path / "w.csv", text)).readings["value"].to_list() == [1.5]


TOKENS = [
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\n", b'"', b",", b";", b"1e999", b"-", b"nan",
    b"9" * 400, b"'; DROP TABLE", b"\xe2\x80\xae", b"2026-13-45", b"99999-01-01T00:00:00Z",
    b"0001-01-01T00:00:00Z",
]  # fmt: skip


def damage(content: bytes, rng: random.Random) -> bytes:
    """Return `content` with some bytes changed, cut, dropped, or replaced by awkward words."""
    damaged = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        at, kind = rng.randrange(len(damaged) + 1), rng.randrange(4)
        if kind == 0:
            damaged[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            damaged = damaged[:at] or bytearray(b"x")
        elif kind == 2 and at < len(damaged):
            damaged[at] = rng.randrange(256)
        else:
            del damaged[at : at + rng.randrange(30)]
    return bytes(damaged)


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_a_damaged_file_is_refused_or_accounted_for(tmp_path: Path, layout: str) -> None:
    """Whatever happened to a file's bytes, it is refused in our words or every row is counted."""
    times = [(START + timedelta(minutes=k)).isoformat() for k in range(20)]
    long = "".join(f"p,a,{time},{k / 7:.3f},192,bar\n" for k, time in enumerate(times))
    wide = "".join(f"{time},{k / 7:.3f},{k}\n" for k, time in enumerate(times))
    content, text = {
        "long": ("asset,tag,time,value,quality,unit\n" + long, LONG),
        "wide": ("time,a,b\n" + wide, WIDE),
    }[layout]
    path, rng, refused = tmp_path / "h.csv", random.Random(0), 0
    for _ in range(150):
        path.write_bytes(damage(content.encode(), rng))
        try:
            account = ingest(recipe(path, text)).account
        except SensorSSMError:
            refused += 1
        else:
            assert account.rows_in == account.rows_out + account.deduplicated + account.quarantined
    assert 10 < refused < 140  # else the damage was always fatal, or never


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("time,a\n2026-01-05T00:00,1\n".encode("utf-16"), "is UTF-16: set encoding"),
        ("time,Größe\n2026-01-05T00:00,1\n".encode("latin-1"), "is not UTF-8"),
        (b"time,a,b\n2026-01-05T00:00,1,\xb5m\n", "Check its encoding"),
    ],
)
def test_a_file_of_another_encoding_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Read as UTF-8, its tags would have names that no one has ever seen."""
    (tmp_path / "w.csv").write_bytes(content)
    with pytest.raises(DataError, match=said):
        ingest(recipe(tmp_path / "w.csv", WIDE))


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16"])
def test_the_encodings_of_windows_are_read(tmp_path: Path, encoding: str) -> None:
    """Names and words come out as they were written, with the same account."""
    text = "time;Größe °C;Druck\n2026-01-05T00:00;1,5;schlecht\n2026-01-05T00:01;2,5;0,1\n"
    (tmp_path / "w.csv").write_bytes(text.encode(encoding))
    wide = WIDE.replace(
        "[grid]", f'encoding = "{encoding}"\nseparator = ";"\ndecimal_comma = true\n[grid]'
    )
    found = ingest(recipe(tmp_path / "w.csv", wide))
    assert found.readings.filter(tag="Größe °C")["value"].to_list() == [1.5, 2.5]
    assert found.quarantine["value"].to_list() == ["schlecht"]


def test_a_file_that_is_not_utf_16_is_refused(tmp_path: Path) -> None:
    """Its columns would have names in no language."""
    (tmp_path / "w.csv").write_text("time,a\n2026-01-05T00:00,1\n")
    with pytest.raises(DataError, match="is not UTF-16"):
        ingest(recipe(tmp_path / "w.csv", WIDE.replace("[grid]", 'encoding = "utf-16"\n[grid]')))


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    """Spreadsheets write one in front of UTF-8."""
    (tmp_path / "w.csv").write_bytes(b"\xef\xbb\xbftime,a\n2026-01-05T00:00,1\n")
    assert ingest(recipe(tmp_path / "w.csv", WIDE)).readings["tag"].to_list() == ["a"]


@pytest.mark.parametrize("time", ["9999-12-31T23:59", "2262-06-01T00:00", "1677-01-01T00:00"])
def test_a_time_that_no_model_can_hold_is_set_aside(tmp_path: Path, time: str) -> None:
    """Nanoseconds in 64 bits end in 2262; the grid's own step may go past the last year there is."""
    (tmp_path / "w.csv").write_text(f"time,a\n{time},1\n2026-01-05T00:00,2\n")
    text = WIDE.replace("[grid]", "earliest = 1000-01-01\n[grid]")
    found = ingest(recipe(tmp_path / "w.csv", text))
    assert found.readings["value"].to_list() == [2.0]
    [reason] = found.quarantine["reason"].cast(pl.String)
    assert reason.startswith("time ") and reason.endswith(" allowed")
