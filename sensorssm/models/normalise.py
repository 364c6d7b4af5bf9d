"""Causal, recurrent normalisation: every tag centred and scaled by its own past, one step at a time.

Level and scale are exponentially weighted means, kept as recurrences over the readings that are
there and over their mask, so that missing readings and the first steps are exact and no window is
held. They run on the same operator as the layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sensorssm_kernels import selective_scan

#: Deviations below this many times the float's resolution of the level are rounding.
_ROUNDING = 16.0


class Normalised(NamedTuple):
    """Inputs without unit, what takes them back, and where there was a reading; all (B, L, D)."""

    z: Tensor
    level: Tensor
    scale: Tensor
    seen: Tensor


class CausalNorm(nn.Module):
    """Subtract each tag's level and divide by its mean absolute deviation, both from its past.

    `span` is their time constant in steps. The result is unchanged when a tag is scaled or shifted.
    A tag that was never seen has level 0 and scale 1; a missing reading gives 0.
    """

    A: Tensor

    def __init__(self, dim: int, span: float = 256.0):
        super().__init__()
        self.dim, self.span = dim, span
        self.register_buffer("A", -torch.ones(2 * dim, 1), persistent=False)

    def init_state(self, batch: int) -> Tensor:
        """Return the state before the first reading: weighted sums (B, 3, D) of x, mask, |x - m|."""
        return self.A.new_zeros(batch, 3, self.dim)

    def forward(
        self, x: Tensor, state: Tensor, elapsed: Tensor | None = None
    ) -> tuple[Normalised, Tensor]:
        """Normalise readings (B, L, D), NaN where missing; `elapsed` (B, L) as in the layers."""
        seen = x.isfinite()
        mask = seen.to(x.dtype)
        known = torch.where(seen, x, 0.0)
        sums, last = self._average(torch.cat([known, mask], -1), state[:, :2].flatten(1), elapsed)
        total, weight = sums.chunk(2, dim=-1)
        info = torch.finfo(x.dtype)
        weight = weight.clamp_min(info.tiny)
        level = total / weight
        off = torch.where(seen, known - level, 0.0)
        # Rounding is not a deviation: a constant tag must read 0.
        off = torch.where(off.abs() > _ROUNDING * info.eps * level.abs(), off, 0.0)
        spread, last_spread = self._average(off.abs(), state[:, 2], elapsed)
        scale = spread / weight
        scale = torch.where(scale > 0, scale, 1.0)
        new = torch.cat([last.unflatten(1, (2, self.dim)), last_spread[:, None]], dim=1)
        return Normalised(off / scale, level, scale, mask), new

    def _average(
        self, values: Tensor, state: Tensor, elapsed: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Run ``h = r h + (1 - r) v`` with ``r = exp(-elapsed / span)`` over (B, L, channels)."""
        batch, length, channels = values.shape
        delta = values.new_full((batch, length), 1.0) if elapsed is None else elapsed
        delta = (delta / self.span)[..., None]
        ones = values.new_ones(batch, length, 1)
        sums, last = selective_scan(
            values * (-torch.expm1(-delta) / delta),
            delta.expand_as(values),
            self.A[:channels],
            ones,
            ones,
            delta_softplus=False,
            initial_state=state[..., None],
        )
        return sums, last.squeeze(-1)
