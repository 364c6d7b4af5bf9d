"""What a fit decides: bases, penalties, gates, and when it stays with what is plain."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators.fitting import fit_model
from sensorssm.estimators.learning import Series
from sensorssm.estimators.selection import belief, surely_less


def fit(X: np.ndarray, seasons: tuple[int, ...] = (), horizon: int = 12):
    """Return the fit of one regular series."""
    return fit_model(
        [Series(X, np.ones(len(X)), len(X))], horizon=horizon, seasons=[seasons], lags=4
    )


def test_a_random_walk_keeps_the_last_value(rng: np.random.Generator) -> None:
    """Where no average is better, the forecast is the last reading, at every step."""
    linear = fit(rng.standard_normal((400, 8)).cumsum(axis=0)).model.linear

    last = np.zeros_like(linear.weights)
    last[:, linear.memory.last_column] = 1.0
    moved = np.abs(linear.weights - last).max(axis=(1, 2))
    assert (moved == 0).sum() >= 4
    assert np.median(moved) < 0.01


def test_a_season_that_repeats_is_a_base(rng: np.random.Generator) -> None:
    """Readings that only repeat with noise are forecast by an average with the last season."""
    X = np.tile(rng.standard_normal((24, 2)), (12, 1)) + 0.1 * rng.standard_normal((288, 2))
    model = fit(X, (24,)).model

    assert (model.linear.bases > 0.1).all()
    assert (model.linear.bases <= 1.0).all()


def test_noise_around_a_level_keeps_the_level(rng: np.random.Generator) -> None:
    """On white noise the forecast is close to the mean, not the last reading."""
    X = 5 + rng.standard_normal((2000, 1))
    model = fit(X).model
    state = model.start()
    seen = model.advance(X, np.ones(2000), state, np.arange(1500, 2000))

    assert np.abs(model.forecast(seen, None, None) - 5).mean() < 0.25


def test_weights_held_back_have_not_seen_their_block() -> None:
    """Changing the readings of one block changes no weights that are judged on it."""
    from sensorssm.estimators.attempt import attempt
    from sensorssm.estimators.learning import Lesson
    from sensorssm.models.memory_plan import plan_memory

    rng = np.random.default_rng(1)
    X = np.sin(np.arange(1200) * np.pi / 6)[:, None] + 0.3 * rng.standard_normal((1200, 1))
    memory = plan_memory((12,), 1200, 4)
    lesson = Lesson(memory, (12,), 12, X.mean(axis=0))
    first = attempt(lesson, [Series(X, np.ones(1200), 1200)], np.ones(1))
    last = np.flatnonzero(first.plans[0] == 3)
    changed = X.copy()
    changed[last[0] + 1 :] += rng.standard_normal((1200 - last[0] - 1, 1))
    again = attempt(lesson, [Series(changed, np.ones(1200), 1200)], np.ones(1))

    if (first.choice.shares == again.choice.shares).all():
        np.testing.assert_array_equal(first.linears[3].weights, again.linears[3].weights)
    assert (first.linears[2].weights != again.linears[2].weights).any()


@pytest.mark.parametrize("spikes", [0.0, 0.02])
def test_the_gate_is_kept_where_there_are_spikes(spikes: float, rng: np.random.Generator) -> None:
    """Spikes in the readings bring the gate in; clean readings are left to the plain memory."""
    X = np.sin(np.arange(3000) * np.pi / 12)[:, None] + 0.2 * rng.standard_normal((3000, 2))
    hit = rng.random(X.shape) < spikes
    X = X + hit * rng.choice([-1, 1], X.shape) * rng.uniform(5, 15, X.shape)
    model = fit(X, (24,)).model

    assert (model.linear.gate is not None) == (spikes > 0)


def test_few_horizons_are_doubted_more() -> None:
    """The same gains convince when they come from many horizons, not when from few."""
    mine, other = np.array([9.0, 8.0, 9.5, 9.0]), np.full(4, 10.0)

    assert surely_less(mine, other, horizons=100.0)
    assert not surely_less(mine, other, horizons=0.8)
    assert not surely_less(other, mine, horizons=100.0)


def test_belief_grows_with_the_evidence_and_ends_at_all() -> None:
    """A loss is not believed, a doubtful gain in part, a sure one wholly."""
    other = np.full(4, 10.0)
    doubtful = np.array([9.0, 10.5, 9.0, 10.0])

    assert belief(other + 1, other, doubts=1.0) == 0
    assert 0 < belief(doubtful, other, doubts=2.0) < 1
    assert belief(doubtful, other, 4.0) < belief(doubtful, other, 2.0)
    assert belief(other - 1, other, doubts=4.0) == 1
    assert belief(other - 1, other, doubts=4.0, chance=0.2) == pytest.approx(0.5**4)


@pytest.mark.parametrize("rows", [80, 160, 300])
def test_short_random_walks_lose_nothing_to_the_last_value(rows: int) -> None:
    """On walks, of which nothing but the last value tells, no fit of few rows errs 2 % more."""
    lost = [_error_to_last(rows, np.random.default_rng(1000 + seed)) for seed in range(12)]

    assert max(lost) < 1.02


def _error_to_last(rows: int, rng: np.random.Generator) -> float:
    """Return the squared error of a fit on three walks over the last value's, on 600 rows more."""
    X = rng.standard_normal((rows + 600, 3)).cumsum(axis=0)
    model = fit(X[:rows], horizon=20).model
    origins = np.arange(rows, len(X) - 20)
    seen = model.advance(X, np.ones(len(X)), model.start(), origins)
    truth = X[origins[:, None] + np.arange(1, 21)]
    error = ((model.forecast(seen, None, None) - truth) ** 2).mean()
    return float(error / ((X[origins, None] - truth) ** 2).mean())


def test_a_season_seen_few_times_shares_with_the_last_value() -> None:
    """A short walk with a season is forecast no worse on average than by its last season."""
    ratios = [_error_to_season(np.random.default_rng(1000 + seed)) for seed in range(12)]

    assert np.mean(ratios) < 1.0


def _error_to_season(rng: np.random.Generator) -> float:
    """Return the squared error of a fit on 80 rows over the last season's, on 600 rows more."""
    waves = 3 * np.sin(np.arange(680) * np.pi / 12)[:, None]
    X = waves + 0.5 * rng.standard_normal((680, 3)).cumsum(axis=0)
    model = fit(X[:80], (24,), horizon=20).model
    origins = np.arange(80, 660)
    seen = model.advance(X, np.ones(680), model.start(), origins)
    ahead = origins[:, None] + np.arange(1, 21)
    error = ((model.forecast(seen, None, None) - X[ahead]) ** 2).mean()
    return float(error / ((X[ahead - 24] - X[ahead]) ** 2).mean())
