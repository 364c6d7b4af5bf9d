"""The causal convolution: against torch's own, its chunks, its padding, its refusals."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sensorssm_kernels import ArgumentError, causal_conv


def arguments(batch: int, length: int, dim: int, taps: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = {
        "x": (batch, length, dim),
        "weight": (dim, taps),
        "bias": (dim,),
        "state": (batch, taps - 1, dim),
    }
    return {k: torch.randn(*shape, generator=draw) for k, shape in shapes.items()}


@pytest.mark.parametrize("length", [1, 2, 3, 65])
@pytest.mark.parametrize("taps", [1, 2, 4])
@pytest.mark.parametrize("activation", ["silu", None])
def test_equals_a_depthwise_convolution(length: int, taps: int, activation: str | None) -> None:
    """The readings before x are the left padding of an ordinary depthwise convolution."""
    a = arguments(2, length, 5, taps)
    padded = torch.cat([a["state"], a["x"]], dim=1)
    wanted = F.conv1d(padded.mT, a["weight"][:, None], a["bias"], groups=5).mT
    wanted = F.silu(wanted) if activation else wanted
    y, state = causal_conv(**a, activation=activation)
    torch.testing.assert_close(y, wanted)
    torch.testing.assert_close(state, padded[:, length:])


def test_gradients_match_finite_differences() -> None:
    """Every argument and both outputs, in float64."""
    a = {k: v.double().requires_grad_() for k, v in arguments(2, 5, 3, 3).items()}
    assert torch.autograd.gradcheck(lambda *v: causal_conv(*v), tuple(a.values()))


def test_chunks_equal_the_whole() -> None:
    """Carrying the state over a cut, inside the taps too, changes nothing."""
    a = arguments(2, 9, 5, 4)
    whole, last = causal_conv(**a)
    x, state, parts = a.pop("x"), a.pop("state"), []
    for part in x.split([1, 2, 6], dim=1):
        y, state = causal_conv(part, **a, state=state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    assert torch.equal(state, last)


def test_padded_and_packed_rows_equal_rows_alone() -> None:
    """A row gives what it gives alone, whether padded or packed, however short."""
    a = arguments(3, 6, 5, 4)
    lengths = [6, 2, 0]
    x, state = a.pop("x"), a.pop("state")
    alone = [
        causal_conv(x[i : i + 1, :n], **a, state=state[i : i + 1]) for i, n in enumerate(lengths)
    ]
    y, last = causal_conv(x, **a, state=state, lengths=torch.tensor(lengths))
    flat = torch.cat([x[i : i + 1, :n] for i, n in enumerate(lengths)], dim=1)
    packed, packed_last = causal_conv(flat, **a, state=state, cu_seqlens=torch.tensor([0, 6, 8, 8]))
    torch.testing.assert_close(packed, torch.cat([part for part, _ in alone], dim=1))
    for i, n in enumerate(lengths):
        torch.testing.assert_close(y[i, :n], alone[i][0][0])
        assert not y[i, n:].any()
        torch.testing.assert_close(last[i], alone[i][1][0])
        torch.testing.assert_close(packed_last[i], alone[i][1][0])


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("x", torch.zeros(2, 5), "(B, L, D)"),
        ("weight", torch.zeros(4, 3), "(5, W)"),
        ("bias", torch.zeros(4), "(5,)"),
        ("state", torch.zeros(2, 4, 5), "(2, 3, 5)"),
        ("activation", "relu", "'silu' or None"),
        ("lengths", torch.tensor([7, 1]), "from 0 to L = 6"),
    ],
)
def test_bad_arguments_are_named(name: str, value: object, part: str) -> None:
    """A refusal names the argument and says what was found and what was wanted."""
    with pytest.raises(ArgumentError) as caught:
        causal_conv(**arguments(2, 6, 5, 4) | {name: value})
    assert str(caught.value).startswith(f"`{name}`: found ")
    assert part in str(caught.value)
