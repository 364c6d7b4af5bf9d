"""What is noted of a forecaster while it is judged equals what a slow second look says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from polars.testing import assert_frame_equal

from sensorssm.evaluation import backtest
from sensorssm_pipelines.jobs.skill import Skill, Watched
from sensorssm_pipelines.store import Store

LEVELS = (0.1, 0.5, 0.9)
HORIZON, TAGS = 3, ["a", "b"]


class Noise:
    """A forecaster of nothing: numbers that depend on the origin alone."""

    def readings(self, X: Any) -> np.ndarray:
        return X

    def forecast_from(self, X: Any, origins: Any, horizon: int, quantiles: Any) -> np.ndarray:
        point = np.sin(np.asarray(origins)[:, None, None] + np.arange(horizon)[:, None] + [0, 9])
        if quantiles is None:
            return point
        return point[..., None] + np.asarray(quantiles) - 0.5


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(60, 2))
    values[::7, 0] = np.nan
    return values


@pytest.fixture(scope="module")
def judged(readings: np.ndarray) -> tuple[Watched, dict[str, list[Any]]]:
    watched = Watched(Noise(), TAGS)
    table = backtest(watched, readings, horizon=HORIZON, first=10, levels=LEVELS, batch=7)
    return watched, table


def loss(miss: float) -> float:
    return sum(max(level * m, (level - 1) * m) for level in LEVELS for m in [miss + 0.5 - level])


def test_errors_by_step_and_tag_are_those_of_a_loop(
    judged: tuple[Watched, dict], readings: np.ndarray
) -> None:
    found = judged[0].by_step()
    assert found.height == HORIZON * 2
    for row in found.iter_rows(named=True):
        tag, misses = TAGS.index(row["tag"]), []
        for origin in range(10, 60 - HORIZON):
            told = Noise().forecast_from(None, [origin], HORIZON, None)[0, row["step"] - 1, tag]
            misses.append(readings[origin + row["step"], tag] - told)
        known = [miss for miss in misses if not np.isnan(miss)]
        assert row["readings"] == len(known)
        assert row["mae"] == pytest.approx(np.mean(np.abs(known)), rel=1e-12)
        assert row["pinball"] == pytest.approx(np.mean([loss(m) for m in known]) / 3, rel=1e-12)


def test_shares_below_each_level_are_those_of_a_loop(
    judged: tuple[Watched, dict], readings: np.ndarray
) -> None:
    for row in judged[0].by_level().iter_rows(named=True):
        tag, below = TAGS.index(row["tag"]), []
        for origin in range(10, 60 - HORIZON):
            fan = Noise().forecast_from(None, [origin], HORIZON, [row["level"]])[0, :, tag, 0]
            came = readings[origin + 1 : origin + 1 + HORIZON, tag]
            below += [x <= q for x, q in zip(came, fan, strict=True) if not np.isnan(x)]
        assert row["readings"] == len(below)
        assert row["below"] == pytest.approx(np.mean(below), rel=1e-12)


def test_watching_changes_no_metric(judged: tuple[Watched, dict], readings: np.ndarray) -> None:
    bare = backtest(
        {"Watched": Noise()}, readings, horizon=HORIZON, first=10, levels=LEVELS, batch=7
    )
    assert judged[1] == bare


def test_a_tag_of_which_nothing_came_has_no_number() -> None:
    """Its error and its coverage are unknown, not zero."""
    readings = np.zeros((20, 2))
    readings[:, 1] = np.nan
    watched = Watched(Noise(), TAGS)
    backtest(watched, readings, horizon=2, levels=LEVELS)
    silent = watched.by_step().filter(tag="b")
    assert silent["mae"].is_nan().all() and silent["readings"].sum() == 0
    assert watched.by_level().filter(tag="b")["below"].is_nan().all()


def test_the_store_gives_back_what_was_watched(judged: tuple[Watched, dict], tmp_path: Any) -> None:
    skill, store = Skill(), Store(tmp_path)
    for asset, model in (("p", "ours"), ("p", "naive"), ("q", "ours")):
        skill.add(asset, model, judged[0])
    for run in ("r1", "r2", "r2"):  # the same run again replaces its rows
        skill.write(store, run)
    steps, levels = store.read_skill(), store.read_calibration("p")
    assert steps.height == 2 * 3 * HORIZON * 2
    assert levels.height == 2 * 2 * len(LEVELS) * 2
    own = steps.filter(run="r1", asset="q", model="ours").select(judged[0].by_step().columns)
    by_key = judged[0].by_step().sort("tag", "step")
    assert_frame_equal(own.sort("tag", "step"), by_key)
