"""The scale and the tilt of a forecast: what they follow, and the two fits against slow ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from sensorssm.scoring.conformal import fit_offsets
from sensorssm.scoring.dispersion import Context, Dispersion, Spread
from sensorssm.scoring.dispersion_fit import (
    PENALTY,
    WILDEST,
    _least_absolute,
    _likeliest,
    fit_dispersion,
)

HORIZON = 6
ROWS = 3000


def context(rows: int, spread: np.ndarray | None = None) -> Context:
    """Return origins of one tag, whose level and last readings are 0."""
    none = np.zeros((rows, 1))
    spread = np.ones((rows, 1, 1)) if spread is None else spread
    return Context(none, none[:, :, None], spread, none)


def fitted(residual: np.ndarray, point: np.ndarray, at: Context) -> tuple[Dispersion, Spread]:
    """Return a fit to many horizons, and what it says of the rows it was fitted to."""
    dispersion = fit_dispersion(residual, point, at, np.array([1e-9]), horizons=1e6)
    steps = np.broadcast_to(np.arange(1, HORIZON + 1)[:, None], point.shape)
    return dispersion, dispersion.at_steps(point, at, steps)


def slope(x: np.ndarray, scale: np.ndarray) -> float:
    """Return the slope of a log scale over x."""
    return float(np.polyfit(x.ravel(), np.log(scale).ravel(), 1)[0])


def test_the_scale_follows_the_spread(rng: np.random.Generator) -> None:
    """Where residuals are as wide as the spread says, the fitted scale is as wide too."""
    spread = np.exp(rng.uniform(-1, 1, (ROWS, 1, 1)))
    residual = spread * rng.standard_normal((ROWS, HORIZON, 1))
    said = fitted(residual, np.zeros_like(residual), context(ROWS, spread))[1]

    # The penalty takes a tenth of the slope away.
    assert slope(np.log(spread[:, 0]), said.scale[:, 0]) == pytest.approx(0.9, abs=0.1)


def test_the_scale_follows_the_way_of_the_forecast(rng: np.random.Generator) -> None:
    """Forecasts far from the last reading are as unsure as they were where nothing was seen."""
    point = rng.uniform(-1, 1, (ROWS, HORIZON, 1))
    residual = np.exp(np.abs(point)) * rng.standard_normal(point.shape)
    said = fitted(residual, point, context(ROWS))[1]

    assert slope(np.abs(point), said.scale) == pytest.approx(0.9, abs=0.1)


def test_the_scale_follows_the_way_from_the_same_step_of_last_season(
    rng: np.random.Generator,
) -> None:
    """A forecast that is far from what the last season says for its step is less sure."""
    season = rng.uniform(-1, 1, (ROWS, 1, 4))
    at = context(ROWS)._replace(season=season)
    point = rng.uniform(-1, 1, (ROWS, HORIZON, 1))
    far = np.abs(point[:, :, 0] - season[:, 0, np.arange(HORIZON) % 4])
    residual = np.exp(far[..., None]) * rng.standard_normal(point.shape)

    said = fitted(residual, point, at)[1]
    assert slope(far, said.scale[..., 0]) == pytest.approx(0.9, abs=0.1)


def test_nothing_moves_the_scale_further_than_it_was_seen_to_go(rng: np.random.Generator) -> None:
    """A spread a million times the usual widens the interval by exp(2) at most, as said."""
    spread = np.exp(rng.uniform(-3, 3, (ROWS, 1, 1)))
    residual = spread * rng.standard_normal((ROWS, HORIZON, 1))
    dispersion = fitted(residual, np.zeros_like(residual), context(ROWS, spread))[0]

    wild = dispersion.at_steps(
        np.zeros((1, 1, 1)), context(1, np.full((1, 1, 1), 1e6)), np.ones((1, 1, 1), dtype=np.int64)
    )
    assert wild.scale[0, 0, 0] == pytest.approx(np.exp(2.0) * dispersion.usual_size[0])


def test_the_middle_is_where_half_lies_on_each_side(rng: np.random.Generator) -> None:
    """Around a mean forecast of skewed readings the middle lies on the side of the many."""
    point = rng.uniform(-1, 1, (ROWS, HORIZON, 1))
    residual = point * (rng.exponential(size=point.shape) - 1.0)
    said = fitted(residual, point, context(ROWS))[1]
    far = np.abs(point) > 0.5

    beyond = (np.sign(point) * (point + residual - said.middle) > 0)[far]
    assert np.mean((np.sign(point) * residual > 0)[far]) < 0.4
    assert np.mean(beyond) == pytest.approx(0.5, abs=0.04)


def test_the_scale_is_the_likeliest(rng: np.random.Generator) -> None:
    """Newton's steps end where a general minimiser of the penalised likelihood does."""
    x = rng.standard_normal((500, 3)) * [1.0, 0.5, 0.1]
    size = np.minimum(rng.exponential(np.exp(x @ [0.5, -1.0, 2.0])), WILDEST)

    def loss(weights: np.ndarray) -> float:
        log_scale = weights[0] + x @ weights[1:]
        doubt = PENALTY * (x.var(axis=0) * weights[1:] ** 2).sum() / 2
        return float(np.mean(log_scale + size * np.exp(-log_scale)) + doubt)

    wanted = minimize(loss, np.zeros(4), tol=1e-12).x[1:]
    np.testing.assert_allclose(_likeliest(x, size, PENALTY), wanted, atol=1e-4)


def test_the_tilt_errs_least(rng: np.random.Generator) -> None:
    """No other slope through the origin has a smaller sum of absolute errors."""
    x = np.r_[rng.standard_normal(300), 0.0]
    y = 0.7 * x + rng.standard_cauchy(301)
    found = _least_absolute(x, y)

    losses = [np.abs(y - t * x).sum() for t in np.linspace(found - 1, found + 1, 401)]
    assert np.abs(y - found * x).sum() <= min(losses) + 1e-9


def test_a_random_walk_has_no_middle_but_its_last_reading(rng: np.random.Generator) -> None:
    """A walk that seems to return to its level over few horizons is not believed to."""
    walk = rng.standard_normal(ROWS + HORIZON).cumsum()
    rows = np.arange(ROWS)[:, None]
    residual = (walk[rows + np.arange(1, HORIZON + 1)] - walk[rows])[..., None]
    residual -= 0.02 * (walk[rows, None] - walk[:ROWS].mean())
    point = np.broadcast_to(walk[rows, None], residual.shape)
    at = context(ROWS)._replace(level=np.full((ROWS, 1), walk[:ROWS].mean()))
    tilts = [
        fit_dispersion(residual, point, at, np.array([1e-9]), horizons=many).tilt[0]
        for many in (10, 1e6)
    ]

    assert tilts[0] == 0.0 and tilts[1] < 0.0


@pytest.mark.parametrize("known", [0, 10])
def test_few_residuals_give_a_plain_scale(known: int, rng: np.random.Generator) -> None:
    """Without residuals the scale is the least one; few tell their size and nothing else."""
    residual = np.full((50, HORIZON, 1), np.nan)
    residual[:known] = 2.0
    point = rng.standard_normal(residual.shape)
    dispersion = fit_dispersion(residual, point, context(50), np.array([0.5]), horizons=8)
    steps = np.full(point.shape, 3)

    said = dispersion.at_steps(point, context(50), steps)
    np.testing.assert_allclose(said.scale, 2.0 if known else 0.5)
    np.testing.assert_array_equal(said.middle, point)


def test_steps_that_were_never_read_are_as_wide_as_their_neighbours(
    rng: np.random.Generator,
) -> None:
    """A tag read at every third row has sizes and offsets at the steps between."""
    residual = rng.standard_normal((ROWS, HORIZON, 1))
    residual[:, [0, 1, 3, 4]] = np.nan
    dispersion, said = fitted(residual, np.zeros_like(residual), context(ROWS))
    offsets = fit_offsets(residual / said.scale)

    assert np.all(np.abs(dispersion.typical - np.log(np.sqrt(2 / np.pi))) < 0.1)
    assert np.all(offsets[0, :, 3] < -1.0)


def test_a_still_tag_has_a_finite_spread() -> None:
    """A tag that never moved, forecast as it is, gets the least scale."""
    still = np.zeros((100, HORIZON, 1))
    at = context(100, np.zeros((100, 1, 1)))
    dispersion = fit_dispersion(still, still, at, np.array([1e-9]), horizons=16)

    said = dispersion.at_steps(still, at, np.full(still.shape, 1))
    np.testing.assert_allclose(said.scale, 1e-9)
