"""The closed-form readout: its sums, its solutions and its judgement, against rows kept whole."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.models.readout import Normal, Sums


@pytest.fixture
def rows(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return features (2 tags, 90, 5) and targets (2, 90, 3) with a tag 100 times larger."""
    z = rng.standard_normal((2, 90, 5)) * np.array([1.0, 100.0])[:, None, None]
    y = z @ rng.standard_normal((5, 3)) + rng.standard_normal((2, 90, 3))
    return z, y


def add_up(z: np.ndarray, y: np.ndarray, blocks: int = 3) -> Sums:
    """Return the sums of both tags over equal blocks of rows."""
    sums = Sums.empty(blocks, 2, 5, 3, (3,))
    for tag in range(2):
        for block, part in enumerate(np.split(np.arange(90), blocks)):
            sums.add(block, tag, z[tag, part], y[tag, part], (y[tag, part] ** 2).sum(axis=0))
    return sums


def test_ridge_is_least_squares_on_stacked_rows(rows: tuple[np.ndarray, np.ndarray]) -> None:
    """Pooled weights solve the least squares of all rows with the penalty as extra rows."""
    z, y = rows
    scale = np.array([1.0, 100.0])
    pooled = Normal.pooled(add_up(z, y).select([0, 1, 2]), scale)
    found = pooled.solve(0.3)

    tall_z = np.concatenate(z / scale[:, None, None])
    tall_y = np.concatenate(y / scale[:, None, None])
    size = np.sqrt((tall_z**2).mean(axis=0))
    penalty = np.diag(size) * np.sqrt(0.3 * len(tall_z))
    wanted = np.linalg.lstsq(
        np.vstack([tall_z, penalty]), np.vstack([tall_y, np.zeros((5, 3))]), rcond=None
    )[0]

    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_squared_error_is_that_of_the_rows(rows: tuple[np.ndarray, np.ndarray]) -> None:
    """The error of any weights comes out of the sums as it does out of the rows."""
    z, y = rows
    weights = np.linspace(-1, 1, 15).reshape(5, 3)
    found = add_up(z, y).squared_error(1, 0, weights)

    wanted = ((y[0, 30:60] - z[0, 30:60] @ weights) ** 2).sum(axis=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


def test_sums_add_up(rows: tuple[np.ndarray, np.ndarray]) -> None:
    """All blocks but one equal the sums of the other rows."""
    z, y = rows
    found = add_up(z, y).select([0, 2])

    rest = np.r_[0:30, 60:90]
    np.testing.assert_allclose(found.zz[0, 1], z[1, rest].T @ z[1, rest])
    np.testing.assert_allclose(found.zy[0, 1], z[1, rest].T @ y[1, rest])
    assert found.rows[0, 1] == 60


def test_own_weights_go_from_shared_to_alone(rows: tuple[np.ndarray, np.ndarray]) -> None:
    """An endless penalty leaves the shared weights; hardly any gives the tag's own least squares."""
    z, y = rows
    scale = np.ones(2)
    total = add_up(z, y).select([0, 1, 2])
    pooled = Normal.pooled(total, scale)
    shared = pooled.solve(0.1)
    own = pooled.of_tag(total, 0, scale, shared)

    assert not own.solve(np.inf).any()
    wanted = np.linalg.lstsq(z[0], y[0], rcond=None)[0]
    np.testing.assert_allclose(shared + own.solve(1e-12), wanted, atol=1e-6)


def test_a_feature_that_is_always_zero_gets_no_weight(rng: np.random.Generator) -> None:
    """A constant tag leaves nothing to divide by; its weights are 0, not NaN."""
    sums = Sums.empty(1, 1, 4, 2, (2,))
    z = rng.standard_normal((50, 4))
    z[:, 2] = 0.0
    sums.add(0, 0, z, z[:, :2], np.zeros(2))
    weights = Normal.pooled(sums, np.ones(1)).solve(1e-6)

    assert np.isfinite(weights).all()
    assert not weights[2].any()


def test_a_feature_of_nothing_but_rounding_gets_no_weight(
    rows: tuple[np.ndarray, np.ndarray],
) -> None:
    """A feature a billionth the size of its tag is left out; blown up it would add noise."""
    z, y = rows
    z = z.copy()
    z[:, :, 3] *= 1e-9
    found = Normal.pooled(add_up(z, y).select([0, 1, 2]), np.array([1.0, 100.0])).solve(1e-5)

    assert not found[3].any()
    assert np.abs(found).max() < 100.0
