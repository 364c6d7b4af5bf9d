"""Heads: from a step's features to ordered quantiles at every step of the horizon."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from sensorssm.models.basis import horizon_basis
from sensorssm.models.init import linear


class QuantileHead(nn.Module):
    """Quantiles that cannot cross: one central curve, and positive gaps above and below it.

    The centre is the level nearest 0.5. It starts at zero, so a new network forecasts the level of
    its normalisation, and a correction starts as none.
    """

    basis: Tensor

    def __init__(
        self,
        dim: int,
        targets: int,
        horizon: int,
        levels: tuple[float, ...] = (0.5,),
        size: int = 12,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        basis = torch.from_numpy(horizon_basis(horizon, size))
        self.register_buffer("basis", basis)
        self.targets, self.gaps = targets, len(levels) - 1
        self.middle = min(range(len(levels)), key=lambda i: abs(levels[i] - 0.5))
        self.centre = linear(dim, len(basis) * targets, bias=False, generator=generator)
        nn.init.zeros_(self.centre.weight)
        if self.gaps:
            width = len(basis) * targets * self.gaps
            self.spread = linear(dim, width, bias=False, generator=generator)
            self.gap_bias = nn.Parameter(torch.full((targets, self.gaps), -1.0))

    def coefficients(self, features: Tensor) -> Tensor:
        """Return the central curve's coefficients (..., K, M) for features (..., D)."""
        return self.centre(features).unflatten(-1, (len(self.basis), self.targets))

    def expand(self, coefficients: Tensor) -> Tensor:
        """Return the curves (..., H, M) of coefficients (..., K, M)."""
        return torch.einsum("...km,kh->...hm", coefficients, self.basis)

    def forward(self, features: Tensor) -> Tensor:
        """Return quantiles (..., H, M, Q), increasing along Q, for features (..., D)."""
        centre = self.expand(self.coefficients(features))[..., None]
        if not self.gaps:
            return centre
        shape = (len(self.basis), self.targets, self.gaps)
        curves = torch.einsum(
            "...kmg,kh->...hmg", self.spread(features).unflatten(-1, shape), self.basis
        )
        gap = F.softplus(curves + self.gap_bias)
        below, above = gap[..., : self.middle], gap[..., self.middle :]
        down = centre - below.flip(-1).cumsum(-1).flip(-1)
        return torch.cat([down, centre, centre + above.cumsum(-1)], dim=-1)
