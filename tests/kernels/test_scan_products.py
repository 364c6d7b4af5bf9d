"""The Triton scan by matrix products against the definition in float64.

On a GPU with the readings that go that way, bfloat16; in the interpreter, whose products are exact,
with float32.
"""

from __future__ import annotations

import pytest
import torch

from sensorssm_kernels import selective_scan
from tests.kernels.factories import DEVICE, device_of, scan_arguments
from tests.kernels.test_scan import compare, forget_launches

pytest.importorskip("triton")
pytestmark = [pytest.mark.gpu] if DEVICE == "cuda" else []
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32


@pytest.fixture(autouse=True)
def products_of_any_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the interpreter take the way of bfloat16 with float32 readings."""
    from sensorssm_kernels import scan_plan, scan_triton

    if DEVICE == "cpu":
        for module in (scan_plan, scan_triton):
            monkeypatch.setattr(module, "goes_by_products", lambda u, A, B, C: A.ndim == 1)


def arguments(batch: int, length: int, dim: int, states: int, **options) -> dict:
    """Return arguments with one rate per channel."""
    device = device_of("triton")
    return scan_arguments(
        batch, length, dim, states, form="shared", dtype=DTYPE, device=device, **options
    )


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 65])
def test_lengths_that_hurt(length: int) -> None:
    """Outputs and gradients at lengths around a chunk, with channels that fill no tile."""
    compare(arguments(1, length, 21, 20), "triton", dtype=DTYPE)


@pytest.mark.parametrize("states", [17, 32, 64])
def test_state_sizes(states: int) -> None:
    """State sizes that fill a tile and that do not."""
    compare(arguments(1, 33, 16, states), "triton", dtype=DTYPE)


@pytest.mark.parametrize("drop", ["D_skip", "z", "delta_bias", "initial_state"])
def test_arguments_left_out(drop: str) -> None:
    """Every optional argument absent."""
    compare(arguments(2, 20, 16, 20), "triton", dtype=DTYPE, drop=(drop,))


def test_rows_of_different_lengths() -> None:
    """Padded and packed rows, an empty one among them."""
    device = device_of("triton")
    lengths = torch.tensor([35, 16, 0, 1], device=device)
    compare(arguments(4, 35, 16, 20), "triton", dtype=DTYPE, lengths=lengths)
    edges = torch.tensor([0, 17, 17, 18, 40], device=device)
    compare(arguments(1, 40, 16, 20, rows=4), "triton", dtype=DTYPE, cu_seqlens=edges)


@pytest.mark.parametrize("steps", [60.0, 12.0])
def test_steps_that_forget_everything(steps: float) -> None:
    """Chunks whose products would leave float32 are walked step by step, and no others.

    Before one of 12 what cancels is larger than what is left: so exact as bfloat16 asks for.
    """
    x = arguments(1, 50, 16, 20)
    x["delta"][:, 5:30:3] = steps
    x["delta"][:, 6:30:3] = -12.0
    compare(x, "triton", dtype=torch.bfloat16)


def test_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows cut into segments of time give the outputs and gradients of whole rows."""
    cases = pytest.importorskip("sensorssm_kernels.scan_cases_triton")
    monkeypatch.setattr(cases, "_SHORTEST_SEGMENT", 16)
    forget_launches(cases)
    compare(arguments(1, 70, 16, 20), "triton", dtype=DTYPE)
    forget_launches(cases)


def test_nan_readings_stay_nan() -> None:
    """A NaN in u reaches the outputs after it in its channel, none before it, and no other."""
    x = arguments(1, 40, 16, 20)
    x["u"][0, 20, 1] = torch.nan
    y, state = selective_scan(**x, backend="triton")
    assert y[0, 20:, 1].isnan().all()
    assert state[0, 1].isnan().all()
    assert not y[0, :20].isnan().any()
    assert not y[0, :, [0, *range(2, 16)]].isnan().any()


def test_two_runs_are_bitwise_equal() -> None:
    """No sum depends on the order in which programs end."""
    x = arguments(3, 40, 21, 20)

    def run():
        leaves = {k: v.detach().clone().requires_grad_() for k, v in x.items()}
        y, state = selective_scan(**leaves, backend="triton")
        return y, state, *torch.autograd.grad(y.sum() + state.sum(), list(leaves.values()))

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))
