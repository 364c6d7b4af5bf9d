"""The result store: the only border between the pipelines and the dashboard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from sensorssm.errors import StoreError
from sensorssm_pipelines.store import operators, schema
from sensorssm_pipelines.store.database import Database
from sensorssm_pipelines.store.history import History
from sensorssm_pipelines.store.schema import Table

Moment = datetime | str | None
_DATABASE = "results.db"
HISTORY = "history"
#: Where results are built that will take the place of those of the store.
DRAFT = ".draft"


class Store:
    """A folder of results: ``results.db`` (SQLite) and ``history/`` (Parquet).

    One process writes; any number of processes and threads read meanwhile. Every `write_*` takes
    a Polars frame with the table's columns (a column left out is null) and is idempotent: the
    same key again replaces the row. Every `read_*` returns the rows of one asset, or of all, with
    ``start <= time < end``, ordered by key, with times in UTC.

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
        self._history = History(self.path / HISTORY)
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

    def take(self, other: Path, tables: Sequence[Table], folders: Sequence[str]) -> None:
        """Replace `tables` and `folders` by those of the store in `other`, all or none of them.

        What people did with alarms stays: acknowledgements, and what they said an alarm was.
        """
        self._refuse_if_read_only()
        self._database.take(other / _DATABASE, tables, folders)
        self.land()

    def land(self) -> None:
        """Move the folders of a draft that has landed into place, as a killed process may not have."""
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

    def write_assets(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.ASSETS, frame)

    def write_tags(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.TAGS, frame)

    def write_scores(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.SCORES, frame)

    def write_latest(self, frame: pl.DataFrame) -> None:
        """Set each asset's newest score and state; an older time never replaces a newer one."""
        self._write(self._database, schema.LATEST, frame)

    def write_alarms(self, frame: pl.DataFrame) -> None:
        """Open, change or clear alarms; what an operator acknowledged stays acknowledged."""
        self._write(self._database, schema.ALARMS, frame)

    def write_alarm_events(self, frame: pl.DataFrame) -> None:
        """Append to the journal of alarms; an event that is there already is left as it is."""
        self._write(self._database, schema.ALARM_EVENTS, frame)

    def write_labels(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.LABELS, frame)

    def write_alarm_labels(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.ALARM_LABELS, frame)

    def write_metrics(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.METRICS, frame)

    def write_runs(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.RUNS, frame)

    def write_heartbeat(self, frame: pl.DataFrame) -> None:
        self._write(self._database, schema.HEARTBEAT, frame)

    def write_readings(self, frame: pl.DataFrame) -> None:
        self._write(self._history, schema.READINGS, frame)

    def write_explanations(self, frame: pl.DataFrame) -> None:
        self._write(self._history, schema.EXPLANATIONS, frame)

    def write_forecasts(self, frame: pl.DataFrame) -> None:
        self._write(self._history, schema.FORECASTS, frame)

    def write_skill(self, frame: pl.DataFrame) -> None:
        self._write(self._history, schema.SKILL, frame)

    def write_calibration(self, frame: pl.DataFrame) -> None:
        self._write(self._history, schema.CALIBRATION, frame)

    def write_quarantine(self, frame: pl.DataFrame) -> None:
        self._write(self._history, schema.QUARANTINE, frame)

    def read_assets(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._database.read(schema.ASSETS, asset, start, end)

    def read_tags(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._database.read(schema.TAGS, asset, start, end)

    def read_scores(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._database.read(schema.SCORES, asset, start, end)

    def read_latest(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._database.read(schema.LATEST, asset, start, end)

    def read_alarms(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return alarms by the time they opened."""
        return self._database.read(schema.ALARMS, asset, start, end)

    def read_alarm_events(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return the journal of alarms in the order it was written."""
        alarms = None if asset is None else self.read_alarms(asset)["id"]
        events = self._database.read(schema.ALARM_EVENTS, None, start, end).sort("seq")
        return (
            events if alarms is None else events.filter(pl.col("alarm_id").is_in(alarms.implode()))
        )

    def read_labels(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return labelled spans by the time they started."""
        return self._database.read(schema.LABELS, asset, start, end)

    def read_alarm_labels(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return what people said of alarms, by the time these opened; null = not over yet."""
        said = self._database.read(schema.ALARM_LABELS, asset, start, end)
        since = self.read_alarms(asset).select(alarm_id="id", since="cleared")
        joined = said.join(since, on="alarm_id", how="left", maintain_order="left")
        return joined.with_columns(pl.coalesce("ended", "since").alias("ended")).drop("since")

    def read_metrics(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._database.read(schema.METRICS, asset, start, end)

    def read_runs(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return the runs by the time they started; a run belongs to no single asset."""
        return self._database.read(schema.RUNS, asset, start, end)

    def read_heartbeat(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._database.read(schema.HEARTBEAT, asset, start, end)

    def read_readings(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._read_history(schema.READINGS, asset, start, end)

    def read_explanations(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._read_history(schema.EXPLANATIONS, asset, start, end)

    def read_forecasts(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return forecasts by the time they are for."""
        return self._read_history(schema.FORECASTS, asset, start, end)

    def read_skill(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return the errors of judged forecasts by step; they belong to no single time."""
        return self._read_history(schema.SKILL, asset, start, end)

    def read_calibration(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        """Return the share of readings at or below each judged quantile."""
        return self._read_history(schema.CALIBRATION, asset, start, end)

    def read_quarantine(
        self, asset: str | None = None, start: Moment = None, end: Moment = None
    ) -> pl.DataFrame:
        return self._read_history(schema.QUARANTINE, asset, start, end)

    def _write(self, part: Database | History, table: Table, frame: pl.DataFrame) -> None:
        self._refuse_if_read_only()
        if part is self._history:
            self.land()
        part.write(table, frame)

    def _read_history(
        self, table: Table, asset: str | None, start: Moment, end: Moment
    ) -> pl.DataFrame:
        """Return rows of a table in Parquet, all of them from before a job landed or all from after."""
        while True:
            place = self._place(table)
            rows = History(place[0]).read(table, asset, start, end)
            if self._place(table) == place:
                return rows

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
