"""The Mamba block: against the published layer written out, and checkpoints of its code."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sensorssm.config import Layer
from sensorssm.models import MambaBlock, MambaMixer

CLOSE = {"rtol": 1e-5, "atol": 2e-5}  # float32 sums in another order


def draw(*size: int, seed: int = 1) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def checkpoint(dim: int, inner: int, state: int, rank: int, width: int) -> dict[str, Tensor]:
    """Weights with the names and shapes of `mamba_ssm.Mamba`."""
    shapes = {
        "A_log": (inner, state),
        "D": (inner,),
        "in_proj.weight": (2 * inner, dim),
        "conv1d.weight": (inner, 1, width),
        "conv1d.bias": (inner,),
        "x_proj.weight": (rank + 2 * state, inner),
        "dt_proj.weight": (inner, rank),
        "dt_proj.bias": (inner,),
        "out_proj.weight": (dim, inner),
    }
    return {name: draw(*shape, seed=i) / 2 for i, (name, shape) in enumerate(shapes.items())}


def published(w: dict[str, Tensor], x: Tensor, rank: int, state_size: int) -> Tensor:
    """Mamba's mixer as published (arXiv:2312.00752, figure 3), by a loop over one context."""
    u, z = (x @ w["in_proj.weight"].T).chunk(2, dim=-1)
    width = w["conv1d.weight"].shape[-1]
    padded = F.pad(u.transpose(1, 2), (width - 1, 0))
    conv = F.conv1d(padded, w["conv1d.weight"], w["conv1d.bias"], groups=u.shape[-1])
    u = F.silu(conv).transpose(1, 2)
    dt, B, C = (u @ w["x_proj.weight"].T).split([rank, state_size, state_size], dim=-1)
    delta = F.softplus(dt @ w["dt_proj.weight"].T + w["dt_proj.bias"])
    A, h, outputs = -w["A_log"].exp(), torch.zeros(len(x), *w["A_log"].shape), []
    h = h.to(x.dtype)
    for t in range(x.shape[1]):
        d = delta[:, t, :, None]
        h = torch.exp(d * A) * h + d * B[:, t, None] * u[:, t, :, None]
        outputs.append((h * C[:, t, None]).sum(-1) + w["D"] * u[:, t])
    return (torch.stack(outputs, 1) * F.silu(z)) @ w["out_proj.weight"].T


def test_a_mamba_checkpoint_loads_and_computes_what_is_published() -> None:
    """Weights by Mamba's names load without a rename and give its outputs."""
    weights = checkpoint(dim=6, inner=12, state=4, rank=2, width=4)
    mixer = MambaMixer(6, state_size=4, rank=2)
    mixer.load_state_dict(dict(weights))
    x = draw(2, 20, 6)
    y, _ = mixer(x, mixer.init_state(2))
    slow = published({k: v.double() for k, v in weights.items()}, x.double(), 2, 4)
    torch.testing.assert_close(y, slow.float(), **CLOSE)


def test_own_state_dict_round_trips() -> None:
    """What a block saves it loads, though Mamba's names are accepted too."""
    first = MambaBlock(6, generator=torch.Generator().manual_seed(0))
    second = MambaBlock(6, generator=torch.Generator().manual_seed(1))
    second.load_state_dict(first.state_dict())
    x = draw(1, 9, 6)
    assert torch.equal(first(x, first.init_state(1))[0], second(x, second.init_state(1))[0])


@pytest.mark.parametrize("layer", ["selective", "fixed", "s4d"])
@pytest.mark.parametrize("width", [1, 4])
def test_a_state_from_a_longer_past_is_carried_by_the_convolution(layer: Layer, width: int) -> None:
    """Two chunks, the second shorter than the convolution, equal one context."""
    block = MambaBlock(6, layer=layer, conv_width=width, generator=torch.Generator().manual_seed(0))
    x = draw(2, 11, 6)
    whole, last = block(x, block.init_state(2))
    first, state = block(x[:, :9], block.init_state(2))
    second, state = block(x[:, 9:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, **CLOSE)
    for name, value in last.items():
        torch.testing.assert_close(state[name], value, **CLOSE)
