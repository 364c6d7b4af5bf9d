"""Averages of readouts: their errors from sums against rows kept whole, and the best shares."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators.stacking import Candidate, best_shares, error_products, readouts
from sensorssm.models.linear import LAST, LEVEL, SEASON, Bases
from sensorssm.models.readout import Sums

ROWS, SEASONS, HORIZON, LAST_COLUMN = 60, (2, 5), 7, 3
CANDIDATES = [
    Candidate(LEVEL),
    Candidate(LAST),
    Candidate(SEASON),
    Candidate(SEASON + 1),
    Candidate(LEVEL, 0.1),
    Candidate(LEVEL, 0.1, 1.0),
    Candidate(LEVEL, 1.0, 0.01),
]


@pytest.fixture
def rows(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return features, targets above the level and the last seasons of 2 tags."""
    z = rng.standard_normal((2, ROWS, 5))
    seasons = [rng.standard_normal((2, ROWS, season)) for season in SEASONS]
    return (
        z,
        z @ rng.standard_normal((5, HORIZON)) + rng.standard_normal((2, ROWS, HORIZON)),
        seasons,
    )


def add_up(z: np.ndarray, y: np.ndarray, seasons: list[np.ndarray]) -> tuple[Sums, Bases]:
    """Return the sums of all rows as one block, and their bases."""
    bases = Bases(SEASONS, HORIZON, LAST_COLUMN, ring=5)
    columns = HORIZON + sum(SEASONS)
    sums = Sums.empty(1, 2, 5, columns, (3, 3, HORIZON))
    for tag in range(2):
        left = [y[tag]] + [y[tag] - np.resize(s[tag].T, (HORIZON, ROWS)).T for s in seasons]
        both = np.stack([[(a * b).sum(axis=0) for a in left] for b in left])
        sums.add(0, tag, z[tag], np.concatenate([y[tag], *(s[tag] for s in seasons)], axis=1), both)
    return sums, bases


def test_errors_of_an_average_are_those_of_the_rows(
    rows: tuple[np.ndarray, np.ndarray, list[np.ndarray]], rng: np.random.Generator
) -> None:
    """Any average of bases and readouts errs on the rows by what the products say."""
    z, y, seasons = rows
    sums, bases = add_up(z, y, seasons)
    shares = rng.random(len(CANDIDATES))
    for tag, weights in enumerate(readouts(sums, np.ones(2), CANDIDATES, bases)):
        products = error_products(sums, 0, tag, weights, CANDIDATES, bases)
        told = np.einsum("nf,kfh->knh", z[tag], weights)
        for place, season in ((2, seasons[0]), (3, seasons[1])):
            told[place] += np.resize(season[tag].T, (HORIZON, ROWS)).T
        error = np.einsum("k,knh->nh", shares, y[tag] - told)

        np.testing.assert_allclose(shares @ products @ shares, (error**2).sum(), rtol=1e-9)


def test_some_steps_are_judged_as_the_rows_say(
    rows: tuple[np.ndarray, np.ndarray, list[np.ndarray]],
) -> None:
    """Weights and errors of every third step are those of a readout of all steps, cut down."""
    z, y, seasons = rows
    sums, bases = add_up(z, y, seasons)
    steps = slice(1, None, 3)
    some = readouts(sums, np.ones(2), CANDIDATES, bases, steps)
    for tag, (all_steps, few) in enumerate(
        zip(readouts(sums, np.ones(2), CANDIDATES, bases), some, strict=True)
    ):
        products = error_products(sums, 0, tag, few, CANDIDATES, bases, steps)
        error = (y[tag] - z[tag] @ all_steps[5])[:, steps]

        np.testing.assert_allclose(few, all_steps[..., steps], rtol=1e-9, atol=1e-12)
        assert products[5, 5] == pytest.approx((error**2).sum(), rel=1e-9)


def test_bases_alone_forecast_themselves(
    rows: tuple[np.ndarray, np.ndarray, list[np.ndarray]],
) -> None:
    """Without penalties the level and the seasons have no weights, and the last reading has one."""
    sums, bases = add_up(*rows)
    for weights in readouts(sums, np.ones(2), CANDIDATES, bases):
        assert not weights[[0, 2, 3]].any()
        assert (weights[1, LAST_COLUMN] == 1).all()
        assert np.count_nonzero(weights[1]) == HORIZON


def test_best_shares_beat_every_other_average(rng: np.random.Generator) -> None:
    """No average of three errs less than the best shares, on a fine grid."""
    errors = rng.standard_normal((3, 50)) + np.array([[0.0], [0.5], [2.0]])
    products = errors @ errors.T
    found = best_shares(products)

    grid = np.arange(0, 1.005, 0.01)
    a, b = np.meshgrid(grid, grid)
    every = np.stack([a, b, 1 - a - b], axis=-1)[a + b <= 1 + 1e-9]
    least = np.einsum("nk,kl,nl->n", every, products, every).min()
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert found @ products @ found <= least * (1 + 1e-6)  # the heavy row lets the sum stray


def test_best_shares_of_nothing_to_tell_apart_are_equal() -> None:
    """Candidates without errors share evenly."""
    np.testing.assert_array_equal(best_shares(np.zeros((4, 4))), np.full(4, 0.25))
