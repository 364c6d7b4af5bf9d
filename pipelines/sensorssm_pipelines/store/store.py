"""The result store: the only border between the pipelines and the dashboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol, cast

import polars as pl

from sensorssm.errors import StoreError
from sensorssm_pipelines.store import operators, schema, shelves
from sensorssm_pipelines.store.database import Database
from sensorssm_pipelines.store.history import History
from sensorssm_pipelines.store.lock import alone, is_alive
from sensorssm_pipelines.store.table import Table

Moment = datetime | str | None
_DATABASE = "results.db"
HISTORY = "history"
#: Where results are built that will take the place of those of the store.
DRAFT = ".draft"


def _writer(table: Table) -> Callable[[Store, pl.DataFrame], None]:
    """Return the method that writes rows of a table."""

    def write(store: Store, frame: pl.DataFrame) -> None:
        store._write(table, frame)

    return write


class _Read(Protocol):
    """The method that reads rows of a table."""

    def __call__(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame: ...


def _reader(table: Table) -> _Read:
    """Return the method that reads rows of a table."""

    def read(
        store: Store, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return store._read(table, asset, start, end)

    return cast(_Read, read)


class Store:
    """A folder of results: ``results.db`` (SQLite) and ``history/`` (Parquet).

    One process writes; any number of processes and threads read meanwhile. Every `write_*` takes
    a Polars frame with the table's columns (a column left out is null) and is idempotent: the
    same key again replaces the row. But an older time never replaces a newer one in `latest`, what
    a person acknowledged stays so, and an event that is in the journal is left as it is. Every
    `read_*` returns the rows of one asset, or of all, with ``start <= time < end``, ordered by key,
    with times in UTC. Alarms are in a span by the time they opened, labels by the time they
    started, forecasts by the time they are for; runs belong to no single asset.

    Parameters
    ----------
    path : str or Path
        The folder; made when it is missing, unless `read_only`.
    read_only : bool
        Refuse every write, and a folder that holds no store.

    Raises
    ------
    StoreError : no store there, a store of another version, or a file that is not one.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = Path(path)
        self.read_only = read_only
        self._database = Database(self.path / _DATABASE)
        if read_only:
            if not self._database.file.exists():
                raise StoreError(
                    f"no store in {self.path}: it has no results.db. "
                    "Make one with `sensorssm demo` or `sensorssm run RECIPE`."
                )
            self._database.check_version()
        else:
            self._database.create()

    def assets(self) -> list[str]:
        """Return the names of the assets, in order."""
        return self.read_assets()["asset"].to_list()

    def spans(self, name: Literal["scores", "readings"]) -> pl.DataFrame:
        """Return asset, begin, end: the first and last time of a table's rows; few are read."""
        if name == "scores":
            return self._database.spans(schema.SCORES)
        return self._look(schema.READINGS, lambda history: history.spans(schema.READINGS))

    def acknowledge(self, alarm_id: str, who: str, why: str, at: datetime | None = None) -> None:
        """Record that `who` has seen an alarm; the first acknowledgement stays.

        Raises
        ------
        StoreError : the store is read-only, or has no such alarm.
        """
        self._refuse_if_read_only()
        operators.acknowledge(self._database, alarm_id, who, why, at or datetime.now(UTC))

    def label_alarm(
        self, alarm_id: str, kind: str, who: str, why: str, at: datetime | None = None
    ) -> None:
        """Record what an alarm was: a "fault", a "false_alarm" or "maintenance".

        It counts as acknowledged by then. The last word stays; the journal keeps every one.

        Raises
        ------
        StoreError : the store is read-only, has no such alarm, or there is no such kind.
        """
        self._refuse_if_read_only()
        operators.label(self._database, alarm_id, kind, who, why, at or datetime.now(UTC))

    def shelve(
        self, asset: str, until: datetime, who: str, why: str, at: datetime | None = None
    ) -> None:
        """Keep an asset's alarms from people, from its newest score to `until`, in readings' time.

        They are recorded, but SHELVED. Another shelf of the asset ends.

        Raises
        ------
        StoreError : the store is read-only, or `until` is past already.
        """
        self._refuse_if_read_only()
        shelves.shelve(self._database, asset, until, who, why, at or datetime.now(UTC))

    def unshelve(self, asset: str, at: datetime | None = None) -> None:
        """End an asset's shelf at its newest score; its alarms are told again."""
        self._refuse_if_read_only()
        shelves.unshelve(self._database, asset, at or datetime.now(UTC))

    def take(self, other: Path, tables: Sequence[Table], folders: Sequence[str]) -> None:
        """Replace `tables` and `folders` by those of the store in `other`, all or none of them.

        What people did with alarms stays: acknowledgements, and what they said an alarm was. For
        a job that is alone in the store, as for `move_landed`.
        """
        self._refuse_if_read_only()
        self._database.take(other / _DATABASE, tables, folders)
        self.move_landed()

    def land(self) -> None:
        """Bring into place what has landed, where a kill prevented it.

        Raises
        ------
        StoreError : a job is at work in the store, and may be just about to.
        """
        if self.is_landing():
            with alone(self.path):
                self.move_landed()

    def move_landed(self) -> None:
        """Move the folders of a draft that has landed into place."""
        names = self._database.landing()
        for name in names:
            new, old = self.path / DRAFT / name, self.path / name
            if new.exists():  # else it was moved before
                shutil.rmtree(old, ignore_errors=True)
                old.parent.mkdir(parents=True, exist_ok=True)
                os.replace(new, old)
        if names:
            self._database.landed()

    def is_landing(self) -> bool:
        """Return whether a draft has landed whose folders are not all in their places."""
        return bool(self._database.landing())

    write_assets = _writer(schema.ASSETS)
    write_tags = _writer(schema.TAGS)
    write_grades = _writer(schema.GRADES)
    write_scores = _writer(schema.SCORES)
    write_latest = _writer(schema.LATEST)
    write_alarms = _writer(schema.ALARMS)
    write_alarm_events = _writer(schema.ALARM_EVENTS)
    write_labels = _writer(schema.LABELS)
    write_alarm_labels = _writer(schema.ALARM_LABELS)
    write_shelves = _writer(schema.SHELVES)
    write_metrics = _writer(schema.METRICS)
    write_runs = _writer(schema.RUNS)
    write_heartbeat = _writer(schema.HEARTBEAT)
    write_readings = _writer(schema.READINGS)
    write_explanations = _writer(schema.EXPLANATIONS)
    write_forecasts = _writer(schema.FORECASTS)
    write_skill = _writer(schema.SKILL)
    write_calibration = _writer(schema.CALIBRATION)
    write_quarantine = _writer(schema.QUARANTINE)

    read_assets = _reader(schema.ASSETS)
    read_tags = _reader(schema.TAGS)
    read_grades = _reader(schema.GRADES)
    read_scores = _reader(schema.SCORES)
    read_latest = _reader(schema.LATEST)
    read_labels = _reader(schema.LABELS)
    read_shelves = _reader(schema.SHELVES)
    read_metrics = _reader(schema.METRICS)
    read_heartbeat = _reader(schema.HEARTBEAT)
    read_readings = _reader(schema.READINGS)
    read_explanations = _reader(schema.EXPLANATIONS)
    read_forecasts = _reader(schema.FORECASTS)
    read_skill = _reader(schema.SKILL)
    read_calibration = _reader(schema.CALIBRATION)
    read_quarantine = _reader(schema.QUARANTINE)

    def read_alarms(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return the alarms; one that was on a shelf when it was last seen is SHELVED."""
        alarms, shelved = self._read(schema.ALARMS, asset, start, end), self.read_shelves(asset)
        if shelved.is_empty():
            return alarms
        return shelves.with_shelved(alarms, shelved, self.read_latest(asset))

    def read_runs(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return the runs; one whose process died before it said how it ended is LOST."""
        rows = self._read(schema.RUNS, asset, start, end)
        running = rows.filter(status="RUNNING")["run"]
        lost = [run for run in running if not is_alive(self.path, run)]
        status = pl.when(pl.col("run").is_in(lost)).then(pl.lit("LOST")).otherwise("status")
        return rows.with_columns(status=status)

    def read_alarm_events(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return the journal of alarms in the order it was written."""
        alarms = None if asset is None else self.read_alarms(asset)["id"]
        events = self._database.read(schema.ALARM_EVENTS, None, start, end).sort("seq")
        return (
            events if alarms is None else events.filter(pl.col("alarm_id").is_in(alarms.implode()))
        )

    def read_alarm_labels(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return what people said of alarms, by the time these opened; null = not over yet."""
        said = self._database.read(schema.ALARM_LABELS, asset, start, end)
        since = self.read_alarms(asset).select(alarm_id="id", since="cleared")
        joined = said.join(since, on="alarm_id", how="left", maintain_order="left")
        return joined.with_columns(pl.coalesce("ended", "since").alias("ended")).drop("since")

    def _write(self, table: Table, frame: pl.DataFrame) -> None:
        self._refuse_if_read_only()
        if table in schema.HISTORY:
            self.land()
            History(self.path / HISTORY).write(table, frame)
        else:
            self._database.write(table, frame)

    def _read(self, table: Table, asset: str | None, start: Moment, end: Moment) -> pl.DataFrame:
        if table in schema.HISTORY:
            return self._look(table, lambda history: history.read(table, asset, start, end))
        return self._database.read(table, asset, start, end)

    def _look(self, table: Table, look: Callable[[History], pl.DataFrame]) -> pl.DataFrame:
        """Return what is found in a table, all of it from before a job landed or all from after."""
        while True:
            place = self._place(table)
            try:
                found = look(History(place[0]))
            except FileNotFoundError:  # a job has just moved what was listed
                if self._place(table) == place:
                    raise
                continue
            if self._place(table) == place:
                return found

    def _place(self, table: Table) -> tuple[Path, int | None]:
        """Return where a table's history is, and which folder that is by the system's number.

        It is in the draft where that landed and has not moved yet.
        """
        name = f"{HISTORY}/{table.name}"
        is_moving = name in self._database.landing() and (self.path / DRAFT / name).exists()
        home = self.path / DRAFT if is_moving else self.path
        try:
            return home / HISTORY, (home / name).stat().st_ino
        except FileNotFoundError:
            return home / HISTORY, None

    def _refuse_if_read_only(self) -> None:
        if self.read_only:
            raise StoreError(f"the store in {self.path} was opened read-only. Open it to write.")
