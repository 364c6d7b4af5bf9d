"""The door for data: other tags than those fitted are refused by name."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from sensorssm.errors import UnknownTagError
from sensorssm.estimators.forecaster import SSMForecaster


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (["flwo", "pressure"], "'flwo' may be 'flow'"),
        (["flow"], "Wanted the columns ['flow', 'pressure']"),
        (["pressure", "flow"], "in this order"),
        (["flow", "pressure", "speed"], "speed"),
    ],
)
def test_other_tags_than_fitted_are_named(columns: list[str], hint: str) -> None:
    """A frame with other columns is refused by name, with the tag that was meant."""
    rows = np.random.default_rng(0).standard_normal((60, 3))
    fitted = SSMForecaster(horizon=4).fit(pl.DataFrame(rows[:, :2], schema=["flow", "pressure"]))

    with pytest.raises(UnknownTagError) as refused:
        fitted.predict(pl.DataFrame(rows[:, : len(columns)], schema=columns))
    assert hint in str(refused.value)


def test_another_width_is_scikit_learns_own_error() -> None:
    """An array has no names to tell; a frame with the right ones is refused for what is wrong."""
    rows = np.random.default_rng(0).standard_normal((60, 2))
    fitted = SSMForecaster(horizon=4).fit(pl.DataFrame(rows, schema=["flow", "pressure"]))

    with pytest.raises(ValueError, match="is expecting 2 features"):
        SSMForecaster(horizon=4).fit(rows).predict(rows[:, :1])
    with pytest.raises(ValueError, match="contains infinity"):
        fitted.predict(pl.DataFrame(np.full((4, 2), np.inf), schema=["flow", "pressure"]))
