"""A statistic's table says how often rows of normal operation exceed it."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.scoring.calibrate import apply_table, fit_table


def test_the_table_is_the_share_of_rows_above() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    score = apply_table(fit_table(values), values)
    for p in (0.5, 0.2, 0.1, 0.05):
        assert np.mean(10.0**-score < p) == pytest.approx(p, rel=0.05)


@pytest.mark.parametrize(("p", "factor"), [(1e-2, 1.2), (1e-3, 1.6), (1e-4, 3.0)])
def test_the_tail_holds_on_unseen_rows(p: float, factor: float) -> None:
    """Over 50 tables of 5,000 exponential rows, unseen rows exceed the level of p about p often.

    The factor grows with the distance from the 20 episodes that the tail's rate is taken from.
    """
    rng = np.random.default_rng(1)
    unseen = np.sort(rng.exponential(size=200_000))
    shares = [
        np.mean(apply_table(fit_table(rng.exponential(size=5_000)), unseen) > -np.log10(p))
        for _ in range(50)
    ]
    assert p / factor < np.mean(shares) < p * factor


@pytest.mark.parametrize("rows", [1, 2, 5, 30])
def test_few_rows_and_repeats_give_a_table_that_increases(rows: int) -> None:
    table = fit_table(np.ones(rows))
    assert np.all(np.diff(table.knots) > 0) and table.slope > 0
    low, high = apply_table(table, np.array([1.0, 2.0]))
    assert np.isfinite([low, high]).all() and high > low


def test_missing_statistics_do_not_count() -> None:
    values = np.random.default_rng(2).normal(size=1000)
    holed = np.where(np.arange(2000) % 2 == 0, np.repeat(values, 2), np.nan)
    np.testing.assert_allclose(fit_table(holed).knots, fit_table(values).knots)
