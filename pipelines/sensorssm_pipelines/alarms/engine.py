"""Scores in, alarms out: a state machine per asset with delays, a deadband and one alarm at a time.

It is deterministic, knows event time only, and goes on from a snapshot as if it had never stopped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from sensorssm.errors import ConfigError
from sensorssm_pipelines.alarms.messages import TagFacts, describe
from sensorssm_pipelines.alarms.terms import Alarm, Evidence, Rule

Change = Literal["OPENED", "UPDATED", "CLEARED"]

OPENING = 5  # steps of an excursion that say which tag moved first
_TOP = 3  # tags named
_HIGH, _MEDIUM = 2.0, 1.0  # decades of p-value past the threshold


@dataclass
class _Watch:
    """What the engine remembers of one asset: its delays, who is blamed, and its open alarm."""

    above: int = 0
    below: int = 0
    steps: int = 0
    first: list[float] = field(default_factory=list)
    blame: list[float] = field(default_factory=list)
    alarm: Alarm | None = None


class AlarmEngine:
    """Turn the scores of any number of assets into alarms by one rule.

    Parameters
    ----------
    rule : Rule
    tags : what is known of each tag, in the order of the arrays in `Evidence`
    """

    def __init__(self, rule: Rule, tags: Sequence[TagFacts]) -> None:
        self.rule = rule
        self.tags = tuple(tags)
        self._watches: dict[str, _Watch] = {}

    def step(self, now: Evidence) -> tuple[Change, Alarm] | None:
        """Take one instant of one asset; return the alarm that it opened, worsened or cleared.

        An unknown score (NaN) neither opens nor clears anything, and ends delays that were
        running: missing data is no proof of health.
        """
        watch = self._watches.setdefault(now.asset, _Watch())
        if math.isnan(now.score):
            watch.above = watch.below = 0
            if watch.alarm is None:
                self._forget(watch)
            return None
        is_above = now.score > now.threshold
        is_below = now.score <= now.threshold - self.rule.deadband
        watch.above = watch.above + 1 if is_above else 0
        watch.below = watch.below + 1 if is_below else 0
        if watch.alarm is None:
            return self._maybe_open(watch, now)
        return self._go_on(watch, watch.alarm, now)

    def is_open(self, asset: str) -> bool:
        """Return whether an asset has an alarm that has not cleared."""
        watch = self._watches.get(asset)
        return watch is not None and watch.alarm is not None

    def snapshot(self) -> str:
        """Return the state of all assets as JSON; `restore` goes on from there."""
        watches = {asset: asdict(watch) for asset, watch in self._watches.items()}
        return json.dumps({"rule": asdict(self.rule), "assets": watches}, default=_to_text)

    def restore(self, text: str) -> None:
        """Go on from a snapshot.

        Raises
        ------
        ConfigError : it is damaged, was made by another rule or knows another number of tags;
            then the engine stands where it stood
        """
        try:
            content = json.loads(text)
            rule, assets = content["rule"], content["assets"]
            watches = {asset: _to_watch(watch, len(self.tags)) for asset, watch in assets.items()}
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"the text is not a snapshot of alarms over {len(self.tags)} tags ({error!r}). "
                "Restore a copy, or start anew."
            ) from error
        if rule != asdict(self.rule):
            raise ConfigError(
                f"the snapshot was made by rule {rule}, wanted {asdict(self.rule)}. "
                "Restore it under that rule, or start anew."
            )
        self._watches = watches

    def _maybe_open(self, watch: _Watch, now: Evidence) -> tuple[Change, Alarm] | None:
        if watch.above == 0:
            self._forget(watch)
            return None
        self._blame(watch, now)
        if watch.above < self.rule.on_delay:
            return None
        watch.below = 0
        opened = now.time.astimezone(UTC)
        watch.alarm = self._tell(
            watch,
            now,
            Alarm(
                id=f"{now.asset}:{self.rule.name}:{opened.isoformat().replace('+00:00', 'Z')}",
                asset=now.asset,
                rule=self.rule.name,
                priority="",
                state="OPEN",
                opened=opened,
                cleared=None,
                peak_score=now.score,
                p_value=10.0**-now.score,
                first_tag="",
                tags="",
                message="",
            ),
        )
        return "OPENED", watch.alarm

    def _go_on(self, watch: _Watch, alarm: Alarm, now: Evidence) -> tuple[Change, Alarm] | None:
        if watch.below >= self.rule.off_delay:
            cleared = replace(alarm, state="CLEARED", cleared=now.time.astimezone(UTC))
            watch.alarm = None
            self._forget(watch)
            return "CLEARED", cleared
        if now.score <= now.threshold:
            return None
        is_opening = watch.steps < OPENING
        self._blame(watch, now)
        if not is_opening and now.score <= alarm.peak_score:
            return None
        watch.alarm = self._tell(watch, now, alarm)
        return "UPDATED", watch.alarm

    def _tell(self, watch: _Watch, now: Evidence, alarm: Alarm) -> Alarm:
        """Return `alarm` with what is known by now: its peak, priority, tags and message."""
        peak = max(alarm.peak_score, now.score)
        first = int(np.argmax(watch.first))
        ranked = np.argsort(-np.array(watch.blame), kind="stable")[:_TOP].tolist()
        top = [tag for tag in ranked if watch.blame[tag] > 0] or ranked[:1]
        return replace(
            alarm,
            priority=_priority(peak - now.threshold),
            peak_score=peak,
            p_value=10.0**-peak,
            first_tag=self.tags[first].name,
            tags=json.dumps([self.tags[tag].name for tag in top]),
            message=describe(self.tags, first, now.values, now.expected, np.array(watch.blame)),
        )

    def _blame(self, watch: _Watch, now: Evidence) -> None:
        shares = np.nan_to_num(now.contributions)
        if not watch.blame:
            watch.first = watch.blame = [0.0] * len(self.tags)
        if watch.steps < OPENING:
            watch.first = (np.array(watch.first) + shares).tolist()
        watch.blame = (np.array(watch.blame) + now.score * shares).tolist()
        watch.steps += 1

    @staticmethod
    def _forget(watch: _Watch) -> None:
        watch.above = watch.below = watch.steps = 0
        watch.first, watch.blame = [], []


def _priority(excess: float) -> str:
    """Return the priority of an alarm whose score passes its threshold by `excess` decades."""
    return "high" if excess >= _HIGH else "medium" if excess >= _MEDIUM else "low"


def _to_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value)} has no place in a snapshot")


def _to_watch(row: dict[str, Any], tags: int) -> _Watch:
    """Return what was remembered of one asset; ValueError where no engine remembers such."""
    watch = _Watch(**{**row, "alarm": _to_alarm(row["alarm"])})
    counts = (watch.above, watch.below, watch.steps)
    if any(not isinstance(count, int) or count < 0 for count in counts):
        raise ValueError(f"counts of steps are {counts}")
    for shares in (watch.first, watch.blame):
        known = (tags,) if watch.alarm else (0, tags)
        if len(shares) not in known or not all(math.isfinite(share) for share in shares):
            raise ValueError(f"{len(shares)} shares of blame")
    return watch


def _to_alarm(row: dict[str, Any] | None) -> Alarm | None:
    if row is None:
        return None
    return Alarm(**{**row, "opened": datetime.fromisoformat(row["opened"])})
