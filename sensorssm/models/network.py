"""The whole network: normalisation, embedding, blocks, head; one `forward` for any length."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor, nn

from sensorssm.config import ModelConfig
from sensorssm.errors import ShapeError
from sensorssm.models.block import MambaBlock, State
from sensorssm.models.heads import QuantileHead
from sensorssm.models.init import linear
from sensorssm.models.normalise import CausalNorm


class Block(Protocol):
    """What a network stacks: a map of whole contexts or of single steps that carries its state."""

    def init_state(self, batch: int) -> State:
        """Return the state before the first step."""
        ...

    def __call__(
        self, x: Tensor, state: State, elapsed: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return outputs (B, L, D) and the new state."""
        ...


class Encoding(NamedTuple):
    """Features (B, L, D) of every step, and level and scale (B, L, M) of the targets there."""

    features: Tensor
    level: Tensor
    scale: Tensor


class SensorSSM(nn.Module):
    """Forecast `horizon` steps of every target from every step, by a recurrence.

    The caller owns the state: `init_state` gives the first, `forward` returns the next. A whole
    context, its chunks and its single steps give the same forecasts and the same final state.
    All starting values are drawn from `generator`.
    """

    def __init__(self, config: ModelConfig, *, generator: Generator | None = None):
        super().__init__()
        self.config = config
        self.norm = CausalNorm(config.inputs, config.span) if config.normalise else None
        width = config.inputs * (2 if config.normalise else 1)
        self.embed = linear(width, config.dim, generator=generator)
        self.blocks = nn.ModuleList(make_block(config, generator) for _ in range(config.depth))
        self.norm_f = nn.RMSNorm(config.dim, eps=1e-5)
        self.head = QuantileHead(
            config.dim,
            config.targets,
            config.horizon,
            config.levels,
            config.basis,
            generator=generator,
        )

    def init_state(self, batch: int) -> State:
        """Return the state before the first step, named by block."""
        parts = {f"{i}.{k}": v for i, b in enumerate(self.blocks) for k, v in _start(b, batch)}
        return parts if self.norm is None else {"norm": self.norm.init_state(batch), **parts}

    def forward(
        self, x: Tensor, state: State, elapsed: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return the quantiles forecast from every step, and the state after the last.

        Parameters
        ----------
        x : Tensor, shape (B, L, F); NaN, allowed with `config.normalise` only, is a missing reading
        state : dict of tensors, from `init_state` or the call before
        elapsed : Tensor, shape (B, L), positive: steps since the row before; one each if left out

        Returns
        -------
        y : Tensor, shape (B, L, H, M, Q), in the unit of the targets
        state : dict of tensors

        Raises
        ------
        ShapeError : x does not have `config.inputs` columns.
        """
        encoding, state = self.encode(x, state, elapsed)
        return self.decode(encoding), state

    def encode(
        self, x: Tensor, state: State, elapsed: Tensor | None = None
    ) -> tuple[Encoding, State]:
        """Return what the head needs of every step, and the state after the last."""
        if x.ndim != 3 or x.shape[2] != self.config.inputs:
            raise ShapeError(
                f"x has shape {tuple(x.shape)}; wanted (batch, length, {self.config.inputs})."
            )
        targets, new = self.config.targets, {}
        if self.norm is None:
            level = x.new_zeros(*x.shape[:2], targets)
            scale = torch.ones_like(level)
        else:
            with torch.autocast(x.device.type, enabled=False):  # levels have more than 3 digits
                seen, new["norm"] = self.norm(x, state["norm"], elapsed)
            level, scale = seen.level[..., :targets], seen.scale[..., :targets]
            x = torch.cat([seen.z, seen.seen], dim=-1)
        features = self.embed(x).to(x.dtype)  # what the blocks add to stays exact under autocast
        for i, block in enumerate(self.blocks):
            own = {k.split(".", 1)[1]: v for k, v in state.items() if k.startswith(f"{i}.")}
            features, own = block(features, own, elapsed)
            new.update((f"{i}.{k}", v) for k, v in own.items())
        return Encoding(self.norm_f(features), level, scale), new

    def decode(self, encoding: Encoding) -> Tensor:
        """Return the quantiles (B, L, H, M, Q) of encoded steps, in the unit of the targets."""
        level, scale = (part[:, :, None, :, None] for part in encoding[1:])
        return level + scale * self.head(encoding.features)


def make_block(config: ModelConfig, generator: Generator | None) -> nn.Module:
    """Return one block of the kind that `config.layer` names."""
    if config.layer == "lstm":
        from sensorssm.models.recurrent import LSTMBlock

        return LSTMBlock(config.dim, generator=generator)
    if config.layer == "attention":
        from sensorssm.models.transformer import AttentionBlock

        sizes = (config.dim, config.heads, config.context, config.patch)
        return AttentionBlock(*sizes, generator=generator)
    return MambaBlock(
        config.dim,
        layer=config.layer,
        expand=config.expand,
        state_size=config.state_size,
        conv_width=config.conv_width,
        rank=config.rank,
        generator=generator,
    )


def _start(block: nn.Module, batch: int) -> list[tuple[str, Tensor]]:
    return list(block.init_state(batch).items())  # pyright: ignore[reportCallIssue]
