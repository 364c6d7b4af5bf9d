"""The result store: what is written comes back, twice is once, and readers never see a half."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest

from sensorssm.errors import StoreError
from sensorssm_pipelines.store import Store, draft, schema

START = datetime(2026, 1, 30, 22, tzinfo=UTC)


def moments(count: int, step: timedelta = timedelta(hours=1)) -> list[datetime]:
    return [START + k * step for k in range(count)]


def example(table: schema.Table, rows: int = 5) -> pl.DataFrame:
    """Return rows of any table: distinct keys, a time that crosses a month, one null value."""
    made = {
        "text": [f"text {k}" for k in range(rows)],
        "real": [0.5 + k for k in range(rows)],
        "int": list(range(1, rows + 1)),
        "bool": [k % 2 == 0 for k in range(rows)],
        "time": moments(rows),
    }
    columns = {name: made[kind] for name, kind in table.columns.items()}
    if table.has_asset:
        columns["asset"] = ["pump 1"] * (rows - 1) + ["../pump.2"]
    if table is schema.ASSETS or table is schema.LATEST:
        columns["asset"] = [f"pump {k}" for k in range(rows)]
    frame = pl.DataFrame(columns, schema=table.schema)
    spare = [n for n in table.columns if n not in table.key and n not in ("asset", table.time)]
    return frame.with_columns(pl.lit(None, frame.schema[spare[-1]]).alias(spare[-1]))


TABLES = [*schema.DATABASE, *schema.HISTORY]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_gives_back_what_was_written_twice(tmp_path: Path, table: schema.Table) -> None:
    """Writing the same rows again leaves one copy, equal to what was written."""
    store, frame = Store(tmp_path / "s"), example(table)
    for _ in range(2):
        getattr(store, f"write_{table.name}")(frame)

    read = getattr(Store(tmp_path / "s", read_only=True), f"read_{table.name}")()

    assert read.schema == table.schema
    order = ["asset", *table.key] if table.has_asset else list(table.key)
    assert read.sort(order).equals(frame.sort(order))


@pytest.mark.parametrize(
    "table", [t for t in TABLES if t.time and t.has_asset], ids=lambda table: table.name
)
def test_a_range_is_half_open_and_of_one_asset(tmp_path: Path, table: schema.Table) -> None:
    """``start <= time < end`` holds at both ends, also across the border of a month."""
    store, frame = Store(tmp_path), example(table)
    getattr(store, f"write_{table.name}")(frame)
    start, end = START + timedelta(hours=1), START + timedelta(hours=3)

    read = getattr(store, f"read_{table.name}")(None, start, end)

    assert read[table.time].sort().to_list() == [start, START + timedelta(hours=2)]
    assert set(getattr(store, f"read_{table.name}")("../pump.2")["asset"]) <= {"../pump.2"}


@pytest.mark.parametrize("name", ["scores", "readings"])
def test_a_span_is_the_first_and_last_time_of_each_asset(
    tmp_path: Path, name: Literal["scores", "readings"]
) -> None:
    """As all its rows tell, whatever the order they came in and however many months they take."""
    store, table = Store(tmp_path), {t.name: t for t in TABLES}[name]
    assert store.spans(name).is_empty()
    frame = example(table, rows=9)
    times = pl.Series(moments(9, timedelta(days=20))).shuffle(seed=1)
    frame = frame.with_columns(
        pl.Series("asset", ["a", "a", "a", "../b", "../b", "c", "c", "c", "c"]), time=times
    )
    getattr(store, f"write_{name}")(frame)
    begin, end = pl.col("time").min().alias("begin"), pl.col("time").max().alias("end")
    told = frame.group_by("asset").agg(begin, end).sort("asset")
    assert store.spans(name).sort("asset").equals(told)


def test_an_asset_name_never_leaves_the_store(tmp_path: Path) -> None:
    """Hostile names become folders inside the store, and come back as they were."""
    store = Store(tmp_path / "s")
    names = ["..", "../../up", "a/b", "a=b", "%2e", "ü", ".", "__HIVE_DEFAULT_PARTITION__", None]
    rows = pl.DataFrame({"asset": names}).with_columns(
        time=START, tag=pl.lit("t"), value=pl.lit(1.0)
    )
    store.write_readings(rows)
    assert store.read_readings()["asset"].sort().equals(rows["asset"].sort())
    assert {path.name for path in tmp_path.iterdir()} == {"s"}


def test_a_repeated_key_is_replaced_by_the_newer_row(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = {"asset": "a", "time": START, "tag": "t"}
    store.write_readings(pl.DataFrame([{**key, "value": 1.0}]))
    store.write_readings(pl.DataFrame([{**key, "value": 2.0}]))
    assert store.read_readings()["value"].to_list() == [2.0]


def test_latest_never_goes_back_in_time(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for hours, score in [(2, 2.0), (1, 1.0)]:
        time = START + timedelta(hours=hours)
        store.write_latest(pl.DataFrame([{"asset": "a", "time": time, "score": score}]))
    assert store.read_latest()["score"].to_list() == [2.0]


def opened_alarm(state: str = "OPEN") -> pl.DataFrame:
    row = {"id": "a:anomaly:x", "asset": "a", "rule": "anomaly", "state": state, "opened": START}
    return pl.DataFrame([row])


def test_an_acknowledgement_survives_the_engine_writing_the_alarm_again(tmp_path: Path) -> None:
    """A replayed job re-writes its alarms as OPEN; what the operator saw stays seen."""
    store = Store(tmp_path)
    store.write_alarms(opened_alarm())
    store.acknowledge("a:anomaly:x", "kim", "looking at it", at=START + timedelta(hours=1))
    store.acknowledge("a:anomaly:x", "lee", "late click", at=START + timedelta(hours=2))
    store.write_alarms(opened_alarm())
    alarm = store.read_alarms().row(0, named=True)
    assert (alarm["state"], alarm["acknowledged_by"]) == ("ACKNOWLEDGED", "kim")
    assert alarm["acknowledged"] == START + timedelta(hours=1)
    store.write_alarms(opened_alarm("CLEARED"))
    assert store.read_alarms()["state"].to_list() == ["CLEARED"]
    events = store.read_alarm_events("a").select("kind", "who", "why")
    assert events.rows() == [("ACKNOWLEDGED", "kim", "looking at it")]


def test_events_keep_the_order_they_were_written_in(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kinds = ["OPENED", "CLEARED"]
    for kind in kinds:
        store.write_alarm_events(
            pl.DataFrame([{"alarm_id": "b:r:1", "time": START, "kind": kind, "who": "engine"}])
        )
    assert store.read_alarm_events()["kind"].to_list() == kinds


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pl.DataFrame({"asset": ["a"], "colour": ["red"]}), "no column 'colour'"),
        (pl.DataFrame({"asset": ["a"], "score": [1.0]}), "wants 'time' in every row"),
        (pl.DataFrame({"asset": ["a"], "time": [START], "score": ["x"]}), "does not fit"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, frame: pl.DataFrame, words: str
) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=words):
        store.write_scores(frame)
    assert store.read_scores().is_empty()


def test_not_a_number_is_stored_as_unknown(tmp_path: Path) -> None:
    store = Store(tmp_path)
    row = {"asset": "a", "time": START, "model": "m", "score": float("nan")}
    store.write_scores(pl.DataFrame([row]))
    assert store.read_scores()["score"].to_list() == [None]


def test_a_read_only_store_refuses_writes_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store in"):
        Store(tmp_path / "none", read_only=True)
    Store(tmp_path)
    with pytest.raises(StoreError, match="read-only"):
        Store(tmp_path, read_only=True).write_labels(example(schema.LABELS))
    with pytest.raises(StoreError, match="read-only"):
        Store(tmp_path, read_only=True).acknowledge("x", "kim", "why")


def test_a_label_needs_an_alarm_and_a_known_kind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_alarms(pl.DataFrame([{"id": "x", "asset": "a", "opened": START}]))
    with pytest.raises(StoreError, match="no alarm 'y'"):
        store.label_alarm("y", "fault", "kim", "leak")
    with pytest.raises(StoreError, match="'bird', wanted one of fault, false_alarm"):
        store.label_alarm("x", "bird", "kim", "a bird")
    with pytest.raises(StoreError, match="read-only"):
        Store(tmp_path, read_only=True).label_alarm("x", "fault", "kim", "leak")
    assert store.read_alarm_labels().is_empty() and store.read_alarm_events().is_empty()


def test_a_label_of_an_open_alarm_ends_when_the_alarm_does(tmp_path: Path) -> None:
    store = Store(tmp_path)
    alarm = {"id": "x", "asset": "a", "opened": START, "state": "OPEN"}
    store.write_alarms(pl.DataFrame([alarm]))
    store.label_alarm("x", "fault", "kim", "leak")
    assert store.read_alarm_labels()["ended"].to_list() == [None]
    end = START + timedelta(hours=1)
    store.write_alarms(pl.DataFrame([{**alarm, "cleared": end, "state": "CLEARED"}]))
    assert store.read_alarm_labels()["ended"].to_list() == [end]


def test_who_saw_an_alarm_first_stays_whoever_says_what_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_alarms(pl.DataFrame([{"id": "x", "asset": "a", "opened": START}]))
    store.acknowledge("x", "kim", "on my way")
    store.label_alarm("x", "fault", "lee", "leak")

    assert store.read_alarms()["acknowledged_by"].to_list() == ["kim"]
    assert store.read_alarm_labels()["who"].to_list() == ["lee"]


def test_an_older_store_is_renewed_by_the_first_that_writes(tmp_path: Path) -> None:
    """Version 1 had no labels of alarms; its rows stay."""
    store = Store(tmp_path)
    store.write_scores(example(schema.SCORES))
    with closing(sqlite3.connect(tmp_path / "results.db")) as connection:
        connection.execute("DROP TABLE alarm_labels")
        connection.execute("DROP TABLE landing")
        connection.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreError, match=r"version 1.*renews"):
        Store(tmp_path, read_only=True)
    renewed = Store(tmp_path)
    assert renewed.read_scores().height == 5 and renewed.read_alarm_labels().is_empty()
    assert Store(tmp_path, read_only=True).read_scores().height == 5


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="no store can be made in"):
        Store(tmp_path / "file" / "store")


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_readings(example(schema.READINGS))
    month = next((tmp_path / "history").rglob("*.parquet"))
    month.write_bytes(b"PAR1 not really")
    with pytest.raises(StoreError, match="not a readable Parquet"):
        store.read_readings()
    with sqlite3.connect(tmp_path / "results.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="version 99"):
        Store(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(tmp_path / "other")


def test_a_failed_write_leaves_no_trace(tmp_path: Path) -> None:
    """The rows of one write are all there or none is."""
    store = Store(tmp_path)
    good = {"asset": "a", "time": START, "model": "m", "score": 1.0}
    with pytest.raises(StoreError):
        store.write_scores(pl.DataFrame([good, {**good, "model": None}]))
    assert store.read_scores().is_empty()


WRITER = """
import sys
from datetime import datetime, timedelta, UTC
import polars as pl
from sensorssm_pipelines.store import Store
store, start = Store(sys.argv[1]), datetime(2026, 1, 30, 22, tzinfo=UTC)
for k in range(int(sys.argv[2])):
    rows = [
        {"asset": "a", "time": start, "model": f"m{row}", "score": float(k)} for row in range(50)
    ]
    store.write_scores(pl.DataFrame(rows))
    times = [start + timedelta(hours=hour) for hour in range(50)]
    values = [{"asset": "a", "time": time, "tag": "t", "value": float(k)} for time in times]
    store.write_readings(pl.DataFrame(values))
"""


def test_readers_see_whole_writes_while_a_process_writes(tmp_path: Path) -> None:
    """Every read during 40 rewrites sees all 50 rows of one write, never a mixture."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    subprocess.run([*command, "1"], check=True)
    writer = subprocess.Popen([*command, "40"])
    reader, seen, mixed = Store(tmp_path, read_only=True), set(), []
    while writer.poll() is None:
        scores, values = reader.read_scores("a")["score"], reader.read_readings("a")
        seen.add(scores[0])
        if scores.n_unique() != 1 or scores.len() != 50 or values.height != 50:
            mixed.append((scores, values))
    assert writer.returncode == 0
    assert not mixed
    assert len(seen) > 3  # else the reader never met the writer


def test_a_reader_survives_a_run_that_rebuilds_the_store(tmp_path: Path) -> None:
    """While history changes places, each read gives all of one run: never half, none or an error."""
    store, frame = Store(tmp_path), example(schema.READINGS)
    store.write_readings(frame)
    stop = threading.Event()

    def rebuild() -> None:
        while not stop.is_set():
            for rows in (frame, frame.head(3)):
                with draft(store) as made:
                    made.write_readings(rows)

    writer = threading.Thread(target=rebuild)
    writer.start()
    heights = set()
    for reads in range(5_000):
        heights.add(Store(tmp_path, read_only=True).read_readings().height)
        if reads >= 200 and len(heights) > 1:  # a busy machine may land but one in 200 reads
            break
    stop.set()
    writer.join()
    assert heights == {3, 5}


def test_one_store_serves_many_threads(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write_scores(example(schema.SCORES))
    lengths: list[int] = []
    threads = [
        threading.Thread(target=lambda: lengths.append(store.read_scores().height))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [5] * 8


def alarm_of(asset: str, opened: int, cleared: int | None) -> dict[str, Any]:
    """Return an alarm by hours."""
    ended = None if cleared is None else START + timedelta(hours=cleared)
    return {
        "id": f"{asset} {opened}",
        "asset": asset,
        "opened": START + timedelta(hours=opened),
        "cleared": ended,
        "state": "OPEN" if cleared is None else "CLEARED",
    }


def score_until(store: Store, hour: int) -> None:
    store.write_latest(pl.DataFrame({"asset": ["a", "b"], "time": START + timedelta(hours=hour)}))


def states(store: Store) -> dict[str, str]:
    return dict(store.read_alarms().select("id", "state").iter_rows())


def test_a_shelved_alarm_is_recorded_and_returns_at_the_end(tmp_path: Path) -> None:
    """One that stands when its asset is shelved, others that come meanwhile, none of another."""
    store = Store(tmp_path)
    score_until(store, 10)
    store.write_alarms(pl.DataFrame([alarm_of("a", 2, 5), alarm_of("a", 8, None)]))
    store.shelve("a", START + timedelta(hours=20), "kim", "sensor on order")
    assert states(store) == {"a 2": "CLEARED", "a 8": "SHELVED"}

    later = [alarm_of("a", 12, 13), alarm_of("b", 12, None), alarm_of("a", 19, 21)]
    store.write_alarms(pl.DataFrame(later))
    score_until(store, 20)
    assert states(store) == {
        "a 2": "CLEARED", "a 8": "OPEN", "a 12": "SHELVED", "b 12": "OPEN", "a 19": "CLEARED",
    }  # fmt: skip
    assert store.read_shelves()["why"].to_list() == ["sensor on order"]


def test_a_shelf_can_be_ended_and_renewed(tmp_path: Path) -> None:
    """The asset's own time counts, not the wall's; what was on it until then stays so."""
    store = Store(tmp_path)
    score_until(store, 10)
    store.write_alarms(pl.DataFrame([alarm_of("a", 8, None)]))
    store.shelve("a", START + timedelta(hours=20), "kim", "noise")
    store.unshelve("a")
    assert states(store) == {"a 8": "OPEN"}
    score_until(store, 12)
    store.shelve("a", START + timedelta(hours=13), "kim", "noise again")
    assert states(store) == {"a 8": "SHELVED"}
    ends = [START + timedelta(hours=hour) for hour in (10, 13)]
    assert store.read_shelves()["ended"].to_list() == ends


def test_a_shelf_without_an_end_to_come_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    score_until(store, 10)
    with pytest.raises(StoreError, match="later time"):
        store.shelve("a", START + timedelta(hours=10), "kim", "noise")
    with pytest.raises(StoreError, match="read-only"):
        Store(tmp_path, read_only=True).unshelve("a")
