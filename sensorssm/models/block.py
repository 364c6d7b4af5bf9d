"""The Mamba block: norm, projection, short causal convolution, state space layer, gate, residual."""

from __future__ import annotations

from typing import Any

from torch import Generator, Tensor, nn

from sensorssm.config import Layer
from sensorssm.models.init import linear, redraw
from sensorssm.models.ssm import ComplexSSM, FixedSSM, SelectiveSSM
from sensorssm_kernels import causal_conv

#: The state of a block or network by name; what it holds is the block's own business.
State = dict[str, Tensor]

_FIXED = {"fixed": FixedSSM, "s4d": ComplexSSM}
_OF_THE_SSM = ("A_log", "D", "x_proj.weight", "dt_proj.weight", "dt_proj.bias")


class MambaMixer(nn.Module):
    """Mamba's mixer around any of the state space layers, with the names and start of its code.

    `dim` is the width outside, `expand` times it the width inside; `layer` is "selective",
    "fixed" or "s4d". A state dict of `mamba_ssm.Mamba` loads as it is where it is "selective".
    """

    def __init__(
        self,
        dim: int,
        *,
        layer: Layer = "selective",
        expand: int = 2,
        state_size: int = 16,
        conv_width: int = 4,
        rank: int = 0,
        generator: Generator | None = None,
    ):
        super().__init__()
        inner = expand * dim
        rank = rank or -(-dim // 16)
        self.in_proj = linear(dim, 2 * inner, bias=False, generator=generator)
        self.conv1d = nn.Conv1d(inner, inner, conv_width, groups=inner, device="meta")
        self.conv1d.to_empty(device="cpu")
        redraw(self.conv1d, bound=conv_width**-0.5, generator=generator)
        self.ssm: FixedSSM | ComplexSSM | SelectiveSSM = (
            SelectiveSSM(inner, state_size, rank, generator=generator)
            if layer == "selective"
            else _FIXED[layer](inner, state_size, generator=generator)
        )
        self.out_proj = linear(inner, dim, bias=False, generator=generator)
        self.register_load_state_dict_pre_hook(_find_ssm)

    def init_state(self, batch: int) -> State:
        """Return the state before the first step: conv (B, W - 1, D) and ssm (B, D, N)."""
        inner, _, width = self.conv1d.weight.shape
        conv = self.conv1d.weight.new_zeros(batch, width - 1, inner)
        return {"conv": conv, "ssm": self.ssm.init_state(batch)}

    def forward(
        self, x: Tensor, state: State, elapsed: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return outputs (B, L, D) and the new state for inputs (B, L, D)."""
        u, gate = self.in_proj(x).chunk(2, dim=-1)
        weight = self.conv1d.weight.squeeze(1)
        u, conv = causal_conv(u, weight, self.conv1d.bias, state["conv"], activation="silu")
        y, ssm = self.ssm(u, state["ssm"], elapsed, gate)
        return self.out_proj(y), {"conv": conv, "ssm": ssm}


class MambaBlock(nn.Module):
    """``x + mixer(norm(x))``; keyword arguments are those of `MambaMixer`."""

    def __init__(self, dim: int, **settings: Any):
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self.mixer = MambaMixer(dim, **settings)

    def init_state(self, batch: int) -> State:
        """Return the state before the first step."""
        return self.mixer.init_state(batch)

    def forward(
        self, x: Tensor, state: State, elapsed: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return outputs (B, L, D) and the new state for inputs (B, L, D)."""
        y, state = self.mixer(self.norm(x), state, elapsed)
        return x + y, state


def _find_ssm(module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    """Let a checkpoint of Mamba's code, where the layer is no module of its own, load here."""
    for name in _OF_THE_SSM:
        if prefix + name in state_dict:
            state_dict[f"{prefix}ssm.{name}"] = state_dict.pop(prefix + name)
