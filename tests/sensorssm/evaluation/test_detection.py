"""What scores find at a stated share of false alarms: counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.errors import ConfigError, DataError, ShapeError
from sensorssm.evaluation.detection import batadal_score, level_of_normal, rows_until_found


def test_the_level_is_passed_by_the_asked_share_of_normal_rows() -> None:
    """Anomalous rows have no say, however large their scores."""
    scores = np.r_[np.arange(200.0), 1e6, 1e6]
    labels = np.r_[np.zeros(200), 1, 1]
    level = level_of_normal(labels, scores, false_alarms=0.05)
    assert (scores[:200] > level).mean() == 0.05
    assert np.isnan(level_of_normal([1, 1], [0.0, 1.0], false_alarms=0.05))


def test_an_anomaly_is_found_where_its_alarms_are_steady() -> None:
    """Two alarm rows are not yet three; a run that began before it counts from its start."""
    labels = [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0]
    alarms = [0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1]
    assert rows_until_found(labels, alarms) == (4 + 0) / 2
    assert rows_until_found(labels, alarms, steady=1) == 0.0
    assert rows_until_found(labels, np.zeros(15)) == (7 + 3) / 2
    assert rows_until_found([0, 1, 1, 0], np.ones(4)) == 2.0  # too short for three rows
    assert np.isnan(rows_until_found([0, 0], [1, 0]))


def test_batadal_weighs_time_and_rows_by_half() -> None:
    """One attack seen after half of it, one never; of normal rows one in four told wrong."""
    labels = [0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    alarms = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    rows = (1 / 6 + 3 / 4) / 2
    assert batadal_score(labels, alarms) == pytest.approx(0.5 * (0.5 + 0.0) / 2 + 0.5 * rows)
    assert batadal_score(labels, labels) == 1.0
    assert np.isnan(batadal_score([1, 1], [1, 1]))


def test_odd_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        level_of_normal([0, 1], [0.0, 1.0], false_alarms=1.0)
    with pytest.raises(DataError):
        level_of_normal([0, 1], [0.0, np.nan], false_alarms=0.1)
    for measure in (batadal_score, rows_until_found):
        with pytest.raises(ShapeError):
            measure([0, 1], [0, 1, 1])
        with pytest.raises(DataError):
            measure([0, 1], [-1, 1])
