"""The attention peer, behind the interface of the blocks: its state is a window of keys and values.

A step costs time and memory linear in that window, where a state space layer's are constant.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from sensorssm.models.block import State
from sensorssm.models.init import linear


class AttentionBlock(nn.Module):
    """Causal attention over the last `context` steps, then a two-layer perceptron, both residual.

    There are no positions, only ages: a score loses `slope` times the time that has passed since
    the key, so a stream may run for ever and uneven steps are told apart.

    References
    ----------
    Vaswani et al. 2017, arXiv:1706.03762; Press et al. 2022, arXiv:2108.12409 (linear biases).
    """

    slope: Tensor

    def __init__(
        self, dim: int, heads: int = 4, context: int = 128, *, generator: Generator | None = None
    ):
        super().__init__()
        self.dim, self.heads, self.before = dim, heads, context - 1
        self.norm, self.norm_mlp = nn.RMSNorm(dim, eps=1e-5), nn.RMSNorm(dim, eps=1e-5)
        self.to_qkv = linear(dim, 3 * dim, bias=False, generator=generator)
        self.from_heads = linear(dim, dim, bias=False, generator=generator)
        self.widen = linear(dim, 4 * dim, generator=generator)
        self.narrow = linear(4 * dim, dim, generator=generator)
        self.register_buffer("slope", 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads))

    def init_state(self, batch: int) -> State:
        """Return an empty window: keys, values (B, W - 1, D), and ages (B, W - 1), infinite."""
        keys = self.norm.weight.new_zeros(batch, self.before, self.dim)
        return {
            "keys": keys,
            "values": keys.clone(),
            "ages": torch.full_like(keys[..., 0], torch.inf),
        }

    def forward(
        self, x: Tensor, state: State, elapsed: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return outputs (B, L, D) and the new state for inputs (B, L, D)."""
        query, key, value = self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        keys = torch.cat([state["keys"], key], dim=1)
        values = torch.cat([state["values"], value], dim=1)
        now = (x.new_ones(x.shape[:2]) if elapsed is None else elapsed).cumsum(1)
        times = torch.cat([-state["ages"], now], dim=1)
        mixed = F.scaled_dot_product_attention(
            self._split(query), self._split(keys), self._split(values), self._bias(now, times)
        )
        x = x + self.from_heads(mixed.transpose(1, 2).flatten(2))
        x = x + self.narrow(F.gelu(self.widen(self.norm_mlp(x))))
        kept = slice(x.shape[1], None)
        ages = now[:, -1:] - times[:, kept]
        return x, {"keys": keys[:, kept], "values": values[:, kept], "ages": ages}

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _bias(self, now: Tensor, times: Tensor) -> Tensor:
        """Return what ages take from the scores, (B, heads, L, W - 1 + L), -inf out of reach."""
        length = now.shape[1]
        behind = torch.arange(length)[:, None] + self.before - torch.arange(times.shape[1])
        reach = ((behind >= 0) & (behind <= self.before)).to(now.device)
        age = torch.where(reach, now[:, :, None] - times[:, None], torch.inf)
        return -self.slope[:, None, None] * age[:, None]
