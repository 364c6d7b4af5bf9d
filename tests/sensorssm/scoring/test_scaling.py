"""Where tags usually are, and which of them may score."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.scoring.scaling import fit_scaling

ROWS = 2000


def _columns() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    rare = np.zeros(ROWS)
    rare[[100, 101, 900]] = 35.0
    rested = np.where(rng.random(ROWS) < 0.8, 0.0, rng.normal(20.0, 2.0, ROWS))
    return {
        "pressure": rng.normal(5.0, 0.1, ROWS),
        "switch": (rng.random(ROWS) < 0.4).astype(float),
        "setpoint": np.repeat(rng.normal(50.0, 10.0, ROWS // 50), 50),
        "spare pump": rare,
        "resting pump": rested,
        "constant": np.full(ROWS, 7.0),
        "absent": np.full(ROWS, np.nan),
    }


def test_switches_setpoints_and_seldom_movers_inform_and_do_not_score() -> None:
    columns = _columns()
    scaling = fit_scaling(np.column_stack(list(columns.values())))
    found = dict(zip(columns, zip(scaling.informs, scaling.fixed, strict=True), strict=True))
    assert {name for name, (informs, _) in found.items() if informs} == {
        "switch",
        "setpoint",
        "spare pump",
    }
    assert {name for name, (_, fixed) in found.items() if fixed} == {"constant", "absent"}


def test_the_spread_is_a_standard_deviation() -> None:
    values = np.random.default_rng(1).normal(10.0, 2.0, size=(ROWS, 1))
    calm = fit_scaling(values)
    assert calm.center[0] == pytest.approx(10.0, abs=0.2)
    assert calm.scale[0] == pytest.approx(2.0, rel=0.05)


def test_a_tag_that_mostly_rests_still_has_a_spread() -> None:
    column = _columns()["resting pump"]
    scaling = fit_scaling(column[:, None])
    assert scaling.center[0] == 0.0
    assert scaling.scale[0] == pytest.approx(column.std())


def test_missing_readings_are_left_out() -> None:
    values = _columns()["pressure"][:, None]
    holed = np.repeat(values, 2, axis=0)
    holed[1::2] = np.nan
    for one, other in zip(fit_scaling(holed), fit_scaling(values), strict=True):
        np.testing.assert_array_equal(one, other)
