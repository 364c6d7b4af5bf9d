"""The forecast metrics against an independent implementation, closed forms and hand-made cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error as sk_mae
from sklearn.metrics import mean_pinball_loss
from sklearn.metrics import mean_squared_error as sk_mse

from sensorssm.errors import DataError, ShapeError
from sensorssm.evaluation import (
    calibration_error,
    crps_by_origin,
    crps_from_quantiles,
    interval_coverage,
    mean_absolute_error,
    mean_absolute_scaled_error,
    mean_squared_error,
    naive_scale,
    pinball_loss,
    weighted_quantile_loss,
)

LEVELS = np.arange(1, 10) / 10


@pytest.fixture
def case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets (6, 5, 2) with holes, a point forecast and quantiles at LEVELS."""
    observed = rng.standard_normal((6, 5, 2))
    observed[rng.random(observed.shape) < 0.3] = np.nan
    point = rng.standard_normal((6, 5, 2))
    return observed, point, point[..., None] + norm.ppf(LEVELS)


def test_against_scikit_learn(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Over the known targets, each metric is scikit-learn's."""
    observed, point, fan = case
    known = np.isfinite(observed)

    assert mean_squared_error(observed, point) == pytest.approx(
        sk_mse(observed[known], point[known])
    )
    assert mean_absolute_error(observed, point) == pytest.approx(
        sk_mae(observed[known], point[known])
    )
    wanted = [
        mean_pinball_loss(observed[known], fan[..., q][known], alpha=level)
        for q, level in enumerate(LEVELS)
    ]
    np.testing.assert_allclose(pinball_loss(observed, fan, LEVELS), wanted)
    size = np.abs(observed[known]).mean()
    assert weighted_quantile_loss(observed, fan, LEVELS) == pytest.approx(
        2 * np.mean(wanted) / size
    )


def test_crps_of_a_normal_forecast_is_the_closed_form(rng: np.random.Generator) -> None:
    """With dense levels the CRPS of a standard normal forecast is Gneiting and Raftery's formula.

    Gneiting and Raftery 2007, JASA 102, equation (21).
    """
    observed = rng.standard_normal(500) * 1.5
    levels = (np.arange(999) + 0.5) / 999
    fan = np.broadcast_to(norm.ppf(levels), (500, 999))
    wanted = observed * (2 * norm.cdf(observed) - 1) + 2 * norm.pdf(observed) - 1 / np.sqrt(np.pi)

    # 999 levels cut off less than 1/1000 of either tail.
    assert crps_from_quantiles(observed, fan, levels) == pytest.approx(wanted.mean(), rel=2e-3)


def test_coverage_and_calibration_of_the_true_distribution(rng: np.random.Generator) -> None:
    """The true quantiles cover what they claim; shifted ones are found out."""
    observed = rng.standard_normal(20_000)
    fan = np.broadcast_to(norm.ppf(LEVELS), (20_000, 9))

    # Standard error of a share of 20 000: 0.0035.
    assert interval_coverage(observed, fan[:, 0], fan[:, -1]) == pytest.approx(0.8, abs=0.012)
    assert calibration_error(observed, fan, LEVELS) < 0.01
    assert calibration_error(observed + 1, fan, LEVELS) > 0.2


def test_seasonal_naive_has_a_mase_of_one() -> None:
    """The forecast that MASE is scaled by scores 1 on the readings it was scaled on."""
    rng = np.random.default_rng(3)
    train = rng.standard_normal((100, 2)).cumsum(axis=0)
    scale = naive_scale(train, season=7)

    assert mean_absolute_scaled_error(train[7:], train[:-7], scale) == pytest.approx(1.0)


def test_nothing_known_is_nan_and_shapes_must_agree() -> None:
    """Without a known target the answer is NaN, not 0; other shapes are refused."""
    assert np.isnan(mean_squared_error([np.nan], [1.0]))
    assert np.isnan(interval_coverage([np.nan], [0.0], [1.0]))
    with pytest.raises(ShapeError, match="differ in shape"):
        mean_absolute_error(np.zeros(3), np.zeros(4))
    with pytest.raises(ShapeError, match="one per level"):
        pinball_loss(np.zeros(3), np.zeros((3, 2)), LEVELS)


def test_a_constant_tag_is_not_divided_by_zero() -> None:
    """A tag that repeats itself exactly has a scale of 1."""
    np.testing.assert_array_equal(naive_scale(np.full((20, 1), 5.0), 3), [1.0])


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_forecast_that_says_nothing_is_refused(wrong: float) -> None:
    """A missing or infinite forecast is left out only where its target is missing too."""
    observed, point = np.array([[[1.0], [np.nan]]]), np.array([[[1.0], [wrong]]])
    fan, levels = np.repeat(point[..., None], 2, axis=-1), (0.1, 0.9)

    assert mean_squared_error(observed, point) == 0.0
    assert crps_by_origin(observed, fan, levels) == [0.0]
    for judge in (mean_squared_error, mean_absolute_error):
        with pytest.raises(DataError, match="1 of 2 forecasts"):
            judge(np.ones_like(observed), point)
    with pytest.raises(DataError, match="2 of 4 forecasts"):
        crps_by_origin(np.ones_like(observed), fan, levels)
