"""What a stretch of scored instants leaves in the store: scores, explanations, alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sensorssm_pipelines.alarms import Alarm, AlarmEngine, Evidence, Rule, TagFacts
from sensorssm_pipelines.recipes.parts import Recipe
from sensorssm_pipelines.store import SHELVED, Store

FloatArray = NDArray[np.float64]

DETECTOR = "SSMDetector"


@dataclass(frozen=True)
class Scored:
    """Consecutive instants of one asset; vectors are (n,), matrices (n, M) in the tags' order."""

    times: Sequence[datetime]
    scores: FloatArray
    values: FloatArray
    expected: FloatArray
    contributions: FloatArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None


class Recorder:
    """Write what is known of one asset, stretch after stretch in the order of time."""

    def __init__(
        self, recipe: Recipe, store: Store, asset: str, tags: Sequence[TagFacts], threshold: float
    ) -> None:
        self._store, self._asset, self._threshold = store, asset, threshold
        self._tags = [tag.name for tag in tags]
        settings = recipe.alarms
        rule = Rule(settings.rule, settings.on_delay, settings.off_delay, settings.deadband)
        self._engine = AlarmEngine(rule, tags)

    def write(self, block: Scored) -> list[str]:
        """Store a stretch; return the alarms it opened."""
        self._store.write_scores(self._scores(block))
        self._store.write_explanations(self._explanations(block))
        opened = self._write_alarms(block)
        self._store.write_latest(self._latest(block))
        return opened

    def _scores(self, block: Scored) -> pl.DataFrame:
        return pl.DataFrame({"time": block.times, "score": block.scores}).select(
            pl.lit(self._asset).alias("asset"),
            "time",
            pl.lit(DETECTOR).alias("model"),
            "score",
            pl.lit(self._threshold).alias("threshold"),
            (10.0 ** -pl.col("score")).alias("p_value"),
            (pl.col("score").fill_nan(None) > self._threshold).fill_null(False).alias("is_anomaly"),
        )

    def _explanations(self, block: Scored) -> pl.DataFrame:
        matrices = {
            "value": block.values,
            "expected": block.expected,
            "lower": block.lower,
            "upper": block.upper,
            "contribution": block.contributions,
        }
        columns = {name: m.reshape(-1) for name, m in matrices.items() if m is not None}
        times = pl.Series("time", block.times, pl.Datetime("us", "UTC"))
        rows = pl.DataFrame(columns).with_columns(
            pl.lit(self._asset).alias("asset"),
            times.gather(np.repeat(np.arange(times.len()), len(self._tags))),
            pl.Series("tag", self._tags * times.len()),
        )
        return rows

    def _write_alarms(self, block: Scored) -> list[str]:
        changed: dict[str, Alarm] = {}
        events = []
        for k, time in enumerate(block.times):
            change = self._engine.step(
                Evidence(
                    self._asset, time, float(block.scores[k]), self._threshold,
                    block.values[k], block.expected[k], block.contributions[k],
                )
            )  # fmt: skip
            if change is None:
                continue
            kind, alarm = change
            changed[alarm.id] = alarm
            if kind != "UPDATED":
                events.append(
                    {
                        "alarm_id": alarm.id,
                        "time": time,
                        "kind": kind,
                        "who": "engine",
                        "why": alarm.message,
                    }
                )
        if changed:
            self._store.write_alarms(pl.DataFrame([asdict(alarm) for alarm in changed.values()]))
        if events:
            self._store.write_alarm_events(pl.DataFrame(events))
        return [event["alarm_id"] for event in events if event["kind"] == "OPENED"]

    def _latest(self, block: Scored) -> pl.DataFrame:
        score = float(block.scores[-1])
        row = {
            "asset": self._asset,
            "time": block.times[-1],
            "score": None if np.isnan(score) else score,
            "threshold": self._threshold,
            "state": self._state(score),
        }
        return pl.DataFrame([row], schema_overrides={"score": pl.Float64})

    def _state(self, score: float) -> str:
        if np.isnan(score):
            return "HOLD"
        if self._engine.is_open(self._asset):
            return "ALARM"
        return "UNUSUAL" if score > self._threshold else "NORMAL"


def told(store: Store, alarms: Sequence[str]) -> int:
    """Return how many of the alarms were told to people: those that no shelf keeps from them."""
    is_told = pl.col("id").is_in(alarms) & pl.col("state").ne_missing(SHELVED)
    return store.read_alarms().filter(is_told).height


def write_heartbeat(store: Store, process: str, event_time: datetime) -> None:
    """Say that `process` lives, and how far it has come in the readings' own time."""
    row = {"process": process, "event_time": event_time, "wall_time": datetime.now(UTC)}
    store.write_heartbeat(pl.DataFrame([{**row, "lag_rows": 0}]))


def facts_of(recipe: Recipe, store: Store, asset: str, tags: Sequence[str]) -> list[TagFacts]:
    """Return what is known of the tags of an asset, in the order of `tags`."""
    units = dict(store.read_tags(asset).select("tag", "unit").rows())
    actions = {tag.name: tag.action for tag in recipe.tags}
    return [TagFacts(tag, units.get(tag) or "", actions.get(tag, "")) for tag in tags]
