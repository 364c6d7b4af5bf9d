"""The single step: the scan, one reading at a time."""

from __future__ import annotations

import pytest
import torch

from sensorssm_kernels import ArgumentError, selective_scan, selective_step
from tests.kernels.factories import device_of, error, scan_arguments


@pytest.mark.parametrize("form", ["full", "shared", "complex"])
@pytest.mark.parametrize("drop", [(), ("D_skip", "z", "delta_bias")], ids=["all", "bare"])
def test_stepping_equals_scanning(form: str, drop: tuple[str, ...]) -> None:
    """One reading at a time gives the outputs and the last state of one scan."""
    x = scan_arguments(3, 20, 5, 4, form=form)
    x = {k: v for k, v in x.items() if k not in drop}
    whole, last = selective_scan(**x)
    state, outputs = x.pop("initial_state"), []
    for t in range(20):
        now = {k: v[:, t] if v.ndim == 3 else v for k, v in x.items()}
        y, state = selective_step(state, **now)
        outputs.append(y)
    assert error(torch.stack(outputs, dim=1), whole) < 1e-6
    assert error(state, last) < 1e-6


def test_the_kernel_equals_the_definition(backend: str) -> None:
    """Both fast backends, with rates per state and per channel, bare and with everything."""
    for form in ("full", "shared"):
        for drop in ((), ("D_skip", "z", "delta_bias")):
            x = scan_arguments(3, 1, 21, 5, form=form, device=device_of(backend))
            state = x.pop("initial_state")
            now = {k: v[:, 0] if v.ndim == 3 else v for k, v in x.items() if k not in drop}
            found = selective_step(state, **now, backend=backend)
            wanted = selective_step(state, **now, backend="reference")
            for a, b in zip(found, wanted, strict=True):
                assert error(a, b) < 1e-6


def test_the_state_given_is_left_alone() -> None:
    """The caller keeps the old state: a step that is thrown away has no effect."""
    x = scan_arguments(3, 1, 5, 4)
    state = x.pop("initial_state")
    before = state.clone()
    selective_step(state, **{k: v[:, 0] if v.ndim == 3 else v for k, v in x.items()})
    assert torch.equal(state, before)


def test_a_step_is_differentiable(backend: str) -> None:
    """Gradients flow through single steps as through a scan."""
    x = scan_arguments(2, 1, 3, 2, device=device_of(backend))
    leaves = {k: v.clone().requires_grad_() for k, v in x.items()}
    now = {k: v[:, 0] if v.ndim == 3 and k != "initial_state" else v for k, v in leaves.items()}
    state = now.pop("initial_state")
    y, _ = selective_step(state, **now, backend=backend)
    found = torch.autograd.grad(y.sum(), list(leaves.values()))
    y, _ = selective_scan(**leaves, backend="reference")
    wanted = torch.autograd.grad(y.sum(), list(leaves.values()))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_a_bad_state_is_named() -> None:
    """A state of other channels is refused with both shapes."""
    x = {k: v[:, 0] if v.ndim == 3 else v for k, v in scan_arguments(2, 1, 3, 2).items()}
    x.pop("initial_state")
    with pytest.raises(ArgumentError, match="found shape \\(2, 4, 2\\), wanted \\(2, 3, 2\\)"):
        selective_step(torch.zeros(2, 4, 2), **x)
