"""Quantile heads: ordered, centred, zero at the start."""

from __future__ import annotations

import pytest
import torch

from sensorssm.models import QuantileHead

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


def head(levels: tuple[float, ...] = LEVELS) -> QuantileHead:
    generator = torch.Generator().manual_seed(0)
    made = QuantileHead(8, targets=3, horizon=7, levels=levels, size=4, generator=generator)
    with torch.no_grad():
        made.centre.weight.normal_(generator=generator)
    return made


@pytest.mark.parametrize("levels", [LEVELS, (0.1, 0.2), (0.9,), (0.05, 0.5, 0.6, 0.7)])
def test_quantiles_never_cross(levels: tuple[float, ...]) -> None:
    """However large the features, a higher level gives a higher value."""
    features = 50 * torch.randn(40, 8, generator=torch.Generator().manual_seed(1))
    y = head(levels)(features)
    assert y.shape == (40, 7, 3, len(levels))
    assert (y.diff(dim=-1) >= 0).all()


def test_the_centre_is_the_curve_of_the_coefficients() -> None:
    """The level nearest 0.5 is the sum of the basis curves, untouched by the gaps."""
    made, features = head(), torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    y = made(features)
    by_hand = torch.zeros(5, 7, 3)
    coefficients = made.coefficients(features)
    for k in range(4):
        by_hand += coefficients[:, k, None, :] * made.basis[k, None, :, None]
    torch.testing.assert_close(y[..., 2], by_hand, rtol=1e-5, atol=1e-5)
    assert (y[..., 3] > y[..., 2]).all() and (y[..., 1] < y[..., 2]).all()


def test_a_new_head_forecasts_zero() -> None:
    """Before training the central curve is exactly zero."""
    made = QuantileHead(8, targets=2, horizon=5, levels=LEVELS)
    assert torch.equal(made(torch.randn(3, 8))[..., 2], torch.zeros(3, 5, 2))
