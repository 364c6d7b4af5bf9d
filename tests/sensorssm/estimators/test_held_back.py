"""What a correction reads of past rows is what forecasts that had not seen them said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorssm.estimators import learning
from sensorssm.estimators.attempt import attempt
from sensorssm.estimators.held_back import Reading
from sensorssm.estimators.learning import Lesson, Series
from sensorssm.estimators.selective_memory import Correction
from sensorssm.models.basis import horizon_basis
from sensorssm.models.memory_plan import plan_memory


def test_rows_of_a_block_are_read_by_the_forecast_that_had_not_seen_it() -> None:
    """Inside a held-back block the inputs are those of that block's forecast, elsewhere those of the
    forecast of all rows; the surprise of a block's first row is the other forecast's."""
    rows = np.arange(400)
    told, without, own = (
        one.after(rows) for one in (reading(halved=True), reading(), reading(0.5))
    )

    np.testing.assert_array_equal(told[:200], without[:200])
    np.testing.assert_array_equal(told[201:], own[201:])
    assert (without[201:] != own[201:]).any(axis=1).all()


def test_a_long_record_is_read_in_pieces_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The surprise of a piece's first row is that of the row before it, in the last piece."""
    rows = np.arange(400)
    whole = reading().after(rows)
    monkeypatch.setattr(learning, "CHUNK_FLOATS", 1)  # 16 rows a piece

    np.testing.assert_array_equal(reading().after(rows), whole)


def reading(share: float = 1.0, *, halved: bool = False) -> Reading:
    """Return what is read of 400 rows by `share` of the fitted weights; `halved`, by half of them in
    block 1, the last 200 rows."""
    noise = np.random.default_rng(0).standard_normal((400, 2))
    X = np.sin(np.arange(400) * np.pi / 6)[:, None] + 0.3 * noise
    series = Series(X, np.ones(400), 400)
    lesson = Lesson(plan_memory((12,), 400, 4), (12,), 8, np.zeros(2))
    linear = attempt(lesson, [series], np.ones(2)).linear
    some = replace(linear, weights=share * linear.weights)
    half = {1: replace(linear, weights=0.5 * linear.weights)} if halved else {}
    spreads = len(linear.memory.spread_tau)
    correction = Correction(np.ones(2), np.zeros((2, spreads)), horizon_basis(8, 2))
    return Reading(correction, series, some, half, np.repeat([0, 1], 200))
