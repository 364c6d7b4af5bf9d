"""A correction inside a fit: found where one tag tells of another, judged without looking ahead."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators.forecaster import SSMForecaster

HORIZON, LAG = 8, 6


def following(rows: int, seed: int) -> np.ndarray:
    """Return a set point that jumps now and then, and a tag that does as its size did 6 steps
    before: a readout across tags, which is all but linear, cannot tell."""
    rng = np.random.default_rng(seed)
    jumps = np.where(rng.random(rows + LAG) < 0.1, 2.0 * rng.standard_normal(rows + LAG), 0.0)
    point = np.zeros(rows + LAG)
    for t in range(1, len(point)):
        point[t] = 0.85 * point[t - 1] + jumps[t]
    X = np.stack([point[LAG:], np.abs(point[:-LAG])], axis=1)
    return X + 0.05 * rng.standard_normal(X.shape)


@pytest.fixture(scope="module")
def fitted() -> dict[str, SSMForecaster]:
    X = following(2400, seed=1)
    kinds = ("gated", "selective")
    return {
        m: SSMForecaster(horizon=HORIZON, season=None, memory=m).fit(X[:1800], X_val=X[1800:])
        for m in kinds
    }


def error(model: SSMForecaster, X: np.ndarray, tag: int) -> float:
    """Return the mean absolute error over the steps that the set point has told of."""
    origins = np.arange(100, len(X) - HORIZON)
    told = model.forecast_from(X, origins, horizon=LAG)[:, :, tag]
    return float(np.abs(told - X[origins[:, None] + np.arange(1, LAG + 1), tag]).mean())


@pytest.mark.slow
def test_a_tag_that_follows_another_is_forecast_by_it(fitted: dict[str, SSMForecaster]) -> None:
    """On new readings the correction takes a fifth off the follower's error, and nothing is lost
    on the set point, which nothing announces."""
    X = following(1000, seed=2)
    assert fitted["selective"].selective_gain_ > 0.05
    assert error(fitted["selective"], X, 1) < 0.8 * error(fitted["gated"], X, 1)
    assert error(fitted["selective"], X, 0) < 1.02 * error(fitted["gated"], X, 0)


@pytest.mark.slow
def test_a_fitted_correction_looks_at_nothing_later_and_streams(
    fitted: dict[str, SSMForecaster],
) -> None:
    """Later rows change no forecast, and a stream says what the batch says."""
    model, X = fitted["selective"], following(300, seed=3)
    quantiles = (0.1, 0.5, 0.9)
    told = model.forecast_from(X, [99, 199], quantiles=quantiles)
    other = X.copy()
    other[200:] = 9.0
    np.testing.assert_array_equal(model.forecast_from(other, [99, 199], quantiles=quantiles), told)

    stream = model.stream()
    for row in X[:200]:
        stream.update(row)
    # The readout's products are summed in another order for one row than for many.
    np.testing.assert_allclose(stream.forecast(quantiles=quantiles), told[1], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_delta_is_told_for_every_row_and_moves_where_the_set_point_jumps(
    fitted: dict[str, SSMForecaster],
) -> None:
    """Delta is positive, looks at nothing later, and differs from its usual value after a jump."""
    X = 0.05 * np.random.default_rng(4).standard_normal((400, 2))
    X[300:, 0] += 4.0
    X[300 + LAG :, 1] += 4.0
    delta = fitted["selective"].deltas(X)

    assert delta.shape == (400, 64) and delta.min() > 0
    np.testing.assert_array_equal(fitted["selective"].deltas(X[:250]), delta[:250])
    usual, around = delta[100:300].mean(axis=0), delta[100:300].std(axis=0)
    moved = np.abs(delta[300:306] - usual) > 6 * around + 1e-6
    assert moved.any(axis=0).mean() > 0.5
    assert fitted["gated"].deltas(X).shape == (400, 0)


@pytest.mark.slow
def test_a_tag_that_fell_silent_takes_no_correction_from_the_others() -> None:
    """A third tag, of which nothing was held back, leaves the correction of the follower in place."""
    X = np.column_stack([following(2400, seed=1), np.full(2400, np.nan)])
    X[:6, 2] = np.arange(6.0)
    model = SSMForecaster(horizon=HORIZON, season=None, memory="selective")
    model.fit(X[:1800], X_val=X[1800:])

    assert model.selective_gain_ > 0.05
    assert np.isfinite(model.forecast(quantiles=(0.1, 0.9))).all()
