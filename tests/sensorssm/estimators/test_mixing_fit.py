"""A readout across tags is found where there is one, and only there; it judges what it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.estimators.mixing_fit import Mixed, fit_mixing
from sensorssm.models.basis import horizon_basis

ROWS, HORIZON, TAGS, JUDGING = 1500, 6, 2, 5
BASIS = horizon_basis(HORIZON, 4)
BLOCK = np.repeat([0, 1, 2, 3, JUDGING], ROWS // 5)


def lesson(seed: int, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs, and residuals of which tag 1's follow the first input by `effect`."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((ROWS, 6)).astype(np.float32)
    residual = rng.standard_normal((ROWS, HORIZON, TAGS))
    residual[:, :, 1] += effect * np.arcsinh(inputs[:, :1])
    return inputs, residual


def fitted(inputs: np.ndarray, residual: np.ndarray, **given: bool) -> Mixed | None:
    settings = {"judging": JUDGING, "horizons": ROWS / HORIZON, "may_walk": False} | given
    return fit_mixing(inputs, residual, BLOCK, BASIS, **settings)


def test_a_relation_is_found_with_the_weight_it_has() -> None:
    """An effect of 0.8 is read as 0.8 on the tag that has it, and as nothing on the other."""
    mixed = fitted(*lesson(0, 0.8))
    assert mixed is not None and mixed.mixing.gain[0] > 0.05

    probe = np.zeros((2, 6), np.float32)
    probe[1, 0] = np.sinh(1.0)
    moved = np.diff(np.einsum("nkm,kh->nhm", mixed.mixing(probe), BASIS), axis=0)[0]
    np.testing.assert_allclose(moved[:, 1], 0.8, atol=0.1)
    np.testing.assert_allclose(moved[:, 0], 0.0, atol=0.1)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_kept_where_nothing_is_told(seed: int) -> None:
    """Noise tells noise nothing, however much a fit may find in it."""
    assert fitted(*lesson(seed, 0.0)) is None


def test_a_block_is_judged_by_what_has_not_learned_from_it() -> None:
    """Shrinking one block's residuals leaves the direction of its own coefficients as it was."""
    inputs, residual = lesson(1, 0.8)
    other = residual.copy()
    other[BLOCK == 2] *= 0.9
    plain, shrunk = fitted(inputs, residual), fitted(inputs, other)
    assert plain is not None and shrunk is not None

    own = BLOCK == 2
    mine, its = plain.at(inputs, BLOCK)[own].ravel(), shrunk.at(inputs, BLOCK)[own].ravel()
    assert np.corrcoef(mine, its)[0, 1] > 1.0 - 1e-9
    np.testing.assert_allclose(plain.at(inputs, BLOCK), plain.held_back, atol=1e-9)


def test_judging_rows_teach_nothing() -> None:
    """Their residuals may weigh the readouts, but the weights are those of the training rows."""
    inputs, residual = lesson(2, 0.8)
    other = residual.copy()
    other[BLOCK == JUDGING] *= 1.001
    plain, changed = fitted(inputs, residual), fitted(inputs, other)
    assert plain is not None and changed is not None

    share = changed.mixing.weights.sum() / plain.mixing.weights.sum()
    np.testing.assert_allclose(changed.mixing.weights, share * plain.mixing.weights, rtol=0.02)


def test_too_few_rows_or_blocks_teach_nothing() -> None:
    """Fewer rows than inputs, or a single block to learn from, leave the forecast as it is."""
    inputs, residual = lesson(3, 0.8)
    settings = {"judging": JUDGING, "horizons": 100.0, "may_walk": False}
    few = slice(None, None, 10)
    assert fit_mixing(inputs[few], residual[few], BLOCK[few], BASIS, **settings) is None
    two = np.where(BLOCK == JUDGING, JUDGING, 0)
    assert fit_mixing(inputs, residual, two, BASIS, **settings) is None


def follower(rows: int, seed: int) -> np.ndarray:
    """Return a walk, and a tag that does as it did 5 steps before."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.standard_normal(rows + 5))
    X = np.stack([walk[5:], walk[:-5]], axis=1)
    return X + 0.1 * rng.standard_normal(X.shape)


@pytest.fixture(scope="module")
def forecaster() -> SSMForecaster:
    return SSMForecaster(horizon=8, season=None, memory="fixed").fit(follower(1200, 0))


def test_a_tag_that_follows_another_is_forecast_by_it(forecaster: SSMForecaster) -> None:
    """New readings: two thirds of the follower's squared error over the steps told of is gone, and
    the one that leads loses nothing."""
    X = follower(800, 1)
    origins = np.arange(50, 790)
    after = X[origins[:, None] + np.arange(1, 6)]
    told = forecaster.forecast_from(X, origins, horizon=5)
    error, naive = (
        np.mean((after - some) ** 2, axis=(0, 1)) for some in (told, X[origins][:, None])
    )

    assert forecaster.across_gain_ > 0.05
    assert error[1] < 0.35 * naive[1]
    assert error[0] < 1.02 * naive[0]


def test_it_streams_as_it_batches_and_looks_at_nothing_later(
    forecaster: SSMForecaster, tmp_path: Path
) -> None:
    """Row by row, and with another future, quantiles are those of the batch; also when loaded."""
    X, quantiles = follower(300, 2), (0.1, 0.5, 0.9)
    other = X.copy()
    other[200:] = 1e3
    told = forecaster.forecast_from(X, [99, 199], quantiles=quantiles)
    np.testing.assert_array_equal(forecaster.forecast_from(other, [99, 199], quantiles=quantiles), told)  # fmt: skip

    forecaster.save(tmp_path)
    stream = SSMForecaster.load(tmp_path).stream()
    for row in X[:200]:
        stream.update(row)
    # The readout's products are summed in another order for one row than for many.
    np.testing.assert_allclose(stream.forecast(quantiles=quantiles), told[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_walks_that_have_nothing_to_do_with_each_other_are_left_alone(seed: int) -> None:
    """Independent walks always seem related over some stretch; none of it is believed."""
    X = np.cumsum(np.random.default_rng(seed).standard_normal((700, 4)), axis=0)
    model = SSMForecaster(horizon=12, season=None).fit(X)
    assert model._model.correction is None and model.across_gain_ == 0.0
