"""The River face passes River's own checks, and is the online detector underneath."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import river.checks

from sensorssm import SSMDetector as Own
from sensorssm import Stepper
from sensorssm.errors import ConfigError
from sensorssm.faces.river import SSMDetector

TAGS = [f"tag {i}" for i in range(6)]


def _readings(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(rows, 2)).cumsum(axis=0) * 0.05
    return causes @ rng.normal(size=(2, 6)) + 0.3 * rng.normal(size=(rows, 6))


def _dicts(values: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(TAGS, map(float, row), strict=True)) for row in values]


class _Labelled:
    """Rows with a spike in every hundredth, as (dict, label)."""

    def __init__(self, rows: int) -> None:
        values, labels = _readings(rows), np.arange(rows) % 100 == 60
        values[labels, 2] += 8.0
        self.rows = list(zip(_dicts(values), labels.tolist(), strict=True))

    def __iter__(self) -> Iterator[tuple[dict[str, float], bool]]:
        return iter(self.rows)


def _own_data(model: Any, scale: int = 1) -> Iterator[_Labelled]:
    yield _Labelled(300 * scale)


with pytest.MonkeyPatch.context() as patch:  # River's own data set has to be downloaded
    patch.setattr(river.checks, "_yield_datasets", _own_data)
    CHECKS = list(river.checks.yield_checks(SSMDetector(grace=100)))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_rivers_own_checks(check: Any) -> None:
    check(SSMDetector(grace=100))


def test_river_checks_it_as_an_anomaly_detector() -> None:
    assert {"check_roc_auc", "check_bounded_memory_growth", "check_emerging_features"} <= {
        check.__name__ for check in CHECKS
    }


def test_scores_are_those_of_the_stepper() -> None:
    """After the grace rows, to the last bit: the memory has met every row in both."""
    values = _readings(400)
    detector = Own().fit(values[:300])
    stepper, face = Stepper(detector), SSMDetector(grace=300)
    wanted = [stepper.step(row).score for row in values]
    found = []
    for row in _dicts(values):
        found.append(face.score_one(row))
        face.learn_one(row)
    assert found[:300] == [0.0] * 300
    assert found[300:] == wanted[300:]


def test_scoring_moves_nothing() -> None:
    face = SSMDetector(grace=50)
    rows = _dicts(_readings(60))
    for row in rows:
        face.learn_one(row)
    spike = rows[-1] | {TAGS[0]: 50.0}
    first = [face.score_one(x) for x in (rows[-1], spike)]
    assert [face.score_one(x) for x in (rows[-1], spike)] == first
    assert face.detector is not None
    assert first[0] < face.detector.threshold_ < first[1]


def test_tags_come_and_go() -> None:
    """An absent tag, None and NaN are the same; a tag that the grace rows lack is left out."""
    face, rows = SSMDetector(grace=50), _dicts(_readings(60))
    for row in rows:
        face.learn_one(row)
    less = {tag: value for tag, value in rows[0].items() if tag != TAGS[3]}
    scores = [face.score_one(x) for x in (less, less | {TAGS[3]: None}, less | {TAGS[3]: np.nan})]
    assert scores[0] == scores[1] == scores[2] != face.score_one(rows[0])
    assert face.score_one(rows[0] | {"new": 1e9}) == face.score_one(rows[0])
    assert face.score_one({"new": 1.0}) == face.score_one({}) == 0.0


def test_rows_without_readings_do_not_use_up_the_grace() -> None:
    face = SSMDetector(grace=2)
    for row in ({}, {TAGS[0]: None}, {TAGS[0]: 1.0}):
        face.learn_one(row)
    assert face.detector is None
    face.learn_one({TAGS[1]: 2.0})
    assert face.detector is not None
    assert face.detector.n_features_in_ == 2


def test_a_grace_too_short_to_learn_from_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 rows"):
        SSMDetector(grace=1)
