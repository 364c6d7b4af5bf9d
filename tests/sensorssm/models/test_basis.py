"""The curves over the horizon."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.models import horizon_basis


@pytest.mark.parametrize(("horizon", "size"), [(1, 12), (2, 12), (12, 12), (96, 12), (720, 16)])
def test_curves_are_orthogonal_with_unit_mean_square(horizon: int, size: int) -> None:
    """Coefficients are on one scale whatever the horizon."""
    basis = horizon_basis(horizon, size)
    assert basis.shape == (min(size, horizon), horizon)
    np.testing.assert_allclose(basis @ basis.T / horizon, np.eye(len(basis)), atol=1e-5)


def test_a_full_basis_makes_any_curve() -> None:
    """With as many curves as steps nothing is lost."""
    curve = np.random.default_rng(0).normal(size=9)
    basis = horizon_basis(9, 9).astype(float)
    np.testing.assert_allclose(basis.T @ (basis @ curve) / 9, curve, atol=1e-5)


def test_a_decaying_error_needs_few_curves() -> None:
    """What a forecast misses fades soon after the origin: 12 curves over 96 steps hold 99 % of it."""
    curve = np.exp(-np.arange(96) / 4)
    basis = horizon_basis(96, 12).astype(float)
    left = curve - basis.T @ (basis @ curve) / 96
    assert (left**2).sum() < 0.01 * (curve**2).sum()
