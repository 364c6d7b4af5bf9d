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

    With a `patch` above 1 a step attends to every `patch`-th step before it only. Where a step's
    input is the last readings, those are patches that end at the step itself, whichever it is: a
    stream needs not wait for a patch to fill, and a whole context costs `patch` times less.

    There are no positions, only ages: a score loses `slope` times the patches that have passed
    since the key, so a stream may run for ever and uneven steps are told apart.

    References
    ----------
    Vaswani et al. 2017, arXiv:1706.03762; Press et al. 2022, arXiv:2108.12409 (linear biases);
    Nie et al. 2023, arXiv:2211.14730 (patches).
    """

    slope: Tensor

    def __init__(
        self,
        dim: int,
        heads: int = 4,
        context: int = 128,
        patch: int = 1,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        self.dim, self.heads, self.patch = dim, heads, patch
        self.keys = max(1, context // patch)  # that a step attends to, itself among them
        self.norm, self.norm_mlp = nn.RMSNorm(dim, eps=1e-5), nn.RMSNorm(dim, eps=1e-5)
        self.to_qkv = linear(dim, 3 * dim, bias=False, generator=generator)
        self.from_heads = linear(dim, dim, bias=False, generator=generator)
        self.widen = linear(dim, 4 * dim, generator=generator)
        self.narrow = linear(4 * dim, dim, generator=generator)
        self.register_buffer("slope", 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads))

    def init_state(self, batch: int) -> State:
        """Return an empty window: keys, values (B, W, D), and ages (B, W), infinite.

        W is the steps from the oldest key to the step after the last one.
        """
        window = (self.keys - 1) * self.patch
        keys = self.norm.weight.new_zeros(batch, window, self.dim)
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
        mixed = self._attend(query, keys, values, now, times)
        x = x + self.from_heads(mixed)
        x = x + self.narrow(F.gelu(self.widen(self.norm_mlp(x))))
        kept = slice(x.shape[1], None)
        ages = now[:, -1:] - times[:, kept]
        return x, {"keys": keys[:, kept], "values": values[:, kept], "ages": ages}

    def _attend(
        self, query: Tensor, keys: Tensor, values: Tensor, now: Tensor, times: Tensor
    ) -> Tensor:
        """Return the means of values (B, L, D), each phase of the patches by itself."""
        batch, length = now.shape
        query, keys, values = (self._split(part, length) for part in (query, keys, values))
        bias = self._bias(self._phases(now, length), self._phases(times, length))
        mixed = F.scaled_dot_product_attention(query, keys, values, bias)
        mixed = mixed.unflatten(0, (batch, -1)).permute(0, 3, 1, 2, 4)
        return mixed.flatten(3).flatten(1, 2)[:, :length]

    def _split(self, x: Tensor, length: int) -> Tensor:
        """Return (B, n, D) as (B phases, heads, n / patch, D / heads)."""
        return self._phases(x, length).unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _phases(self, x: Tensor, length: int) -> Tensor:
        """Return (B, n, ...) as (B phases, n / patch, ...): the steps a patch apart together.

        The last of them may lie beyond the end, where only steps beyond the end see them.
        """
        missing = -x.shape[1] % self.patch
        x = torch.cat([x, x[:, -1:].expand(-1, missing, *x.shape[2:])], dim=1)
        phases = x.unflatten(1, (-1, self.patch))[:, :, : min(length, self.patch)]
        return phases.transpose(1, 2).flatten(0, 1)

    def _bias(self, now: Tensor, times: Tensor) -> Tensor:
        """Return what ages (B, keys) take from the scores of steps, -inf out of reach.

        Shapes: now (B, L), times (B, W + L); result (B, heads, L, W + L).
        """
        length, window = now.shape[1], self.keys - 1
        behind = torch.arange(length)[:, None] + window - torch.arange(times.shape[1])
        reach = ((behind >= 0) & (behind <= window)).to(now.device)
        age = torch.where(reach, (now[:, :, None] - times[:, None]) / self.patch, torch.inf)
        return -self.slope[:, None, None] * age[:, None]
