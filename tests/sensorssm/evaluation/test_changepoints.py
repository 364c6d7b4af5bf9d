"""The changepoint score, against its definition one word at a time and against known ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from sensorssm.errors import ConfigError, DataError, ShapeError
from sensorssm.evaluation.changepoints import changepoint_score, turns_of
from sensorssm.evaluation.nab import PROFILES

ROWS = 400
TIMES = np.arange(ROWS) * 1.5  # seconds


def flags(*rows: int) -> np.ndarray:
    marked = np.zeros(ROWS, dtype=int)
    marked[list(rows)] = 1
    return marked


def slowly(files: list[tuple[Any, Any, Any]], profile: str, width: float) -> float:
    """The definition, a window and a word at a time."""
    cost, total, count = PROFILES[profile], 0.0, 0
    for times, changes, told in files:
        at = [t for t, is_change in zip(times, changes, strict=True) if is_change]
        words = [t for t, is_told in zip(times, told, strict=True) if is_told]
        used = set()
        for k, start in enumerate(at):
            begin = max(start, at[k - 1] + width) if k else start
            end, count = start + width, count + 1
            inside = [t for t in words if begin <= t <= end]
            used |= set(inside)
            if not inside:
                total -= cost.missed
                continue
            place = min(int((inside[0] - begin) / (end - begin) * 1000), 999)
            falling = -math.tanh(-math.pi / 2 + math.pi * place / 999) / math.tanh(math.pi / 2)
            total += (cost.found + cost.false) / 2 * falling + (cost.found - cost.false) / 2
        total -= cost.false * len(set(words) - used)
    return 100 * (total + count * cost.missed) / (count * (cost.found + cost.missed))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", range(8))
def test_the_score_is_its_definition(profile: str, seed: int) -> None:
    """On windows that overlap and stand apart, with words in and out of them."""
    rng = np.random.default_rng(seed)
    files = [
        (TIMES, rng.random(ROWS) < 0.02, rng.random(ROWS) < rng.choice([0.0, 0.02, 0.2]))
        for _ in range(3)
    ]
    assert changepoint_score(files, profile) == pytest.approx(
        slowly(files, profile, 60.0), abs=1e-9
    )


def test_the_ends_of_the_scale() -> None:
    """Silence is 0, each change told at once 100; late and false words cost."""
    changes = flags(50, 200)
    told_at_once = changepoint_score([(TIMES, changes, changes)])
    assert told_at_once == pytest.approx(100.0)
    assert changepoint_score([(TIMES, changes, flags())]) == 0.0
    late = changepoint_score([(TIMES, changes, flags(70, 220))])
    assert 0.0 < late < 100.0
    assert changepoint_score([(TIMES, changes, flags(70, 220, 300))]) < late


def test_times_of_day_are_seconds() -> None:
    """datetime64 counts as the seconds it is."""
    changes, told = flags(50, 200), flags(60)
    clock = np.datetime64("2026-01-05", "ms") + (TIMES * 1e3).astype("timedelta64[ms]")
    assert changepoint_score([(clock, changes, told)]) == changepoint_score(
        [(TIMES, changes, told)]
    )


def test_an_alarm_tells_a_change_where_it_begins_and_ends() -> None:
    """One that is there from the first row begins there."""
    assert turns_of([1, 1, 0, 0, 1]).tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("error", "file", "options"),
    [
        (DataError, (TIMES, flags(), flags(3)), {}),
        (DataError, (np.zeros(ROWS), flags(3, 4), flags()), {}),
        (ShapeError, (TIMES[:9], flags(3), flags()), {}),
        (ShapeError, (TIMES, flags(3), flags()[:9]), {}),
        (ConfigError, (TIMES, flags(3), flags()), {"profile": "strict"}),
        (ConfigError, (TIMES, flags(3), flags()), {"width": 0.0}),
        (ConfigError, (TIMES, flags(3), flags()), {"width": np.inf}),
    ],
)
def test_what_cannot_be_judged_is_refused(error: type, file: Any, options: Any) -> None:
    """No changepoint, two at once, other sizes, unknown settings."""
    with pytest.raises(error):
        changepoint_score([file], **options)
