"""The Diebold-Mariano test against the textbook's formula, and against what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t as student

from sensorssm.errors import DataError, ShapeError
from sensorssm.evaluation import crps_by_origin, crps_from_quantiles, diebold_mariano


def textbook(first: np.ndarray, second: np.ndarray, h: int) -> tuple[float, float]:
    """Return the statistic and p-value as Harvey, Leybourne and Newbold print them, in loops."""
    d = [a - b for a, b in zip(first, second, strict=True)]
    n = len(d)
    mean = sum(d) / n

    def gamma(k: int) -> float:
        return sum((d[t] - mean) * (d[t - k] - mean) for t in range(k, n)) / n

    variance = (gamma(0) + 2 * sum(gamma(k) for k in range(1, h))) / n
    correction = math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    statistic = correction * mean / math.sqrt(variance)
    return statistic, 2 * float(student.cdf(-abs(statistic), n - 1))


def moving_sum(rng: np.random.Generator, rows: int, h: int) -> np.ndarray:
    """Return numbers that are correlated up to h - 1 apart, as overlapping forecasts' losses are."""
    return np.convolve(rng.standard_normal(rows + h - 1), np.ones(h), mode="valid")


@pytest.mark.parametrize("h", [1, 2, 7])
def test_against_the_textbook(rng: np.random.Generator, h: int) -> None:
    """Statistic and p-value are those of the printed formula."""
    first, second = moving_sum(rng, 80, h) + 0.3, moving_sum(rng, 80, h)
    found = diebold_mariano(first, second, overlap=h)

    assert (found.statistic, found.p_value) == pytest.approx(textbook(first, second, h), rel=1e-10)
    assert found.difference == pytest.approx((first - second).mean())


def test_equal_forecasters_are_found_different_as_rarely_as_promised() -> None:
    """Of 400 pairs that differ by luck alone, one in twenty has a p-value below 0.05.

    Without the correlation it would be one in three. 400 trials have a standard error of 0.011.
    """
    rng = np.random.default_rng(0)
    pairs = [(moving_sum(rng, 300, 6), moving_sum(rng, 300, 6)) for _ in range(400)]
    found = np.mean([diebold_mariano(a, b, overlap=6).p_value < 0.05 for a, b in pairs])
    blind = np.mean([diebold_mariano(a, b).p_value < 0.05 for a, b in pairs])

    assert 0.02 < found < 0.10
    assert blind > 0.25


def test_the_better_one_is_first_by_a_negative_statistic(rng: np.random.Generator) -> None:
    """Swapping the two turns the sign and nothing else; a clear gain has a small p-value."""
    better, worse = rng.random(200), rng.random(200) + 0.3
    found, back = diebold_mariano(better, worse), diebold_mariano(worse, better)

    assert found.statistic < -5 and found.p_value < 1e-6
    assert back.statistic == -found.statistic and back.p_value == found.p_value


def test_a_variance_that_is_not_positive_is_weighted(rng: np.random.Generator) -> None:
    """Losses that alternate sum to a negative variance; Bartlett's weights keep the test defined."""
    flip = np.tile([1.0, -1.0], 20) + 0.01 * rng.standard_normal(40)
    with pytest.raises(ValueError, match="math domain"):
        textbook(flip, np.zeros(40), 2)
    found = diebold_mariano(flip, np.zeros(40), overlap=2)

    assert np.isfinite(found.statistic) and 0 < found.p_value <= 1


def test_unknown_losses_take_their_origin_out(rng: np.random.Generator) -> None:
    """NaN in either is as if the origin had not been judged."""
    first, second = rng.random((2, 50))
    holes = first.copy()
    holes[[3, 17]] = np.nan
    kept = np.isfinite(holes)

    assert diebold_mariano(holes, second) == diebold_mariano(first[kept], second[kept])


def test_no_difference_and_no_noise() -> None:
    """A model against itself is 0 with certainty; a constant gain is beyond all doubt."""
    same, less = np.ones(5), np.full(5, 0.5)

    assert diebold_mariano(same, same) == (0.0, 1.0, 0.0)
    assert diebold_mariano(less, same) == (-math.inf, 0.0, -0.5)


def test_what_cannot_be_compared_is_refused() -> None:
    """Rows of other lengths, and too few origins."""
    with pytest.raises(ShapeError, match="wanted equal rows"):
        diebold_mariano(np.ones(4), np.ones(5))
    with pytest.raises(DataError, match="at least 2"):
        diebold_mariano([1.0, np.nan], [2.0, 1.0])


def test_origins_average_to_the_whole(rng: np.random.Generator) -> None:
    """The mean CRPS over origins is the CRPS of all, where every target is known."""
    observed = rng.standard_normal((9, 4, 2))
    fan = np.sort(rng.standard_normal((9, 4, 2, 3)), axis=-1)
    levels = [0.2, 0.5, 0.8]
    found = crps_by_origin(observed, fan, levels)

    assert found.mean() == pytest.approx(crps_from_quantiles(observed, fan, levels))
    observed[4] = np.nan
    assert np.isnan(crps_by_origin(observed, fan, levels)).tolist() == [i == 4 for i in range(9)]


@pytest.mark.parametrize("which", [0, 1])
def test_an_infinite_loss_is_refused(which: int) -> None:
    """Left out, the worst of all forecasts would count for nothing."""
    losses = np.ones((2, 20))
    losses[which, 3] = np.inf
    with pytest.raises(DataError, match="infinite"):
        diebold_mariano(*losses)
