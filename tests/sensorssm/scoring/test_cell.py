"""A cell from a file is checked before compiled loops trust it."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators import SSMDetector
from sensorssm.scoring import Cell


@pytest.fixture(scope="module")
def cell() -> Cell:
    return SSMDetector().fit(np.random.default_rng(0).normal(size=(200, 3))).cell_


def test_a_fitted_cell_passes(cell: Cell) -> None:
    cell.check(3)


@pytest.mark.parametrize("name", ["scale", "spread"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_what_is_divided_by_is_above_zero(cell: Cell, name: str, value: float) -> None:
    array = getattr(cell, name).copy()
    array.flat[-1] = value
    with pytest.raises(ValueError, match=f"{name} holds values"):
        cell._replace(**{name: array}).check(3)


@pytest.mark.parametrize("name", ["shift_gain", "recent_gain", "reference_gain"])
@pytest.mark.parametrize("value", [0.0, 1.5, np.nan])
def test_gains_are_shares(cell: Cell, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*, wanted above 0 and at most 1"):
        cell._replace(**{name: value}).check(3)


@pytest.mark.parametrize("name", ["shift_limit", "quiet", "patience"])
@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_limits_of_squared_norms_are_not_negative(cell: Cell, name: str, value: float) -> None:
    """A root is taken of one, and a mean below no limit would never be followed."""
    with pytest.raises(ValueError, match=f"{name} is .*, wanted 0 or more"):
        cell._replace(**{name: value}).check(3)


def test_knots_increase(cell: Cell) -> None:
    """A table whose knots repeat would divide by zero between them."""
    knots = cell.knots.copy()
    knots[1, 3] = knots[1, 2]
    with pytest.raises(ValueError, match="knots do not increase"):
        cell._replace(knots=knots).check(3)


def test_arrays_fit_together(cell: Cell) -> None:
    with pytest.raises(ValueError, match="forecast is"):
        cell._replace(forecast=cell.forecast[:-1]).check(3)
    with pytest.raises(ValueError, match="lags is 0"):
        lagless = cell._replace(lags=0, forecast=cell.forecast[-1 - 3 * len(cell.decay) :])
        lagless.check(3)
