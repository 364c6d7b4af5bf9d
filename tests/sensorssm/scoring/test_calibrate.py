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


@pytest.mark.parametrize("p", [1e-2, 1e-3, 1e-4])
def test_the_tail_never_claims_more_than_there_is(p: float) -> None:
    """Unseen exponential rows exceed the level of p at most 1.3 times too often."""
    rng = np.random.default_rng(1)
    table = fit_table(rng.exponential(size=5_000))
    unseen = apply_table(table, rng.exponential(size=500_000))
    assert np.mean(unseen > -np.log10(p)) < 1.3 * p


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
