"""Parameters that never change: the convolution and the CPU's loop against the recurrence."""

from __future__ import annotations

import pytest
import torch

from sensorssm_kernels import selective_scan, selective_scan_ref
from tests.kernels.factories import error, in_double, scan_arguments


@pytest.mark.parametrize("form", ["full", "shared", "complex"])
@pytest.mark.parametrize("length", [32, 63, 65, 200])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_fixed_parameters_equal_the_recurrence(backend: str, form: str, length: int) -> None:
    """Outputs, last state and every gradient, with and without an initial state."""
    x = scan_arguments(2, length, 3, 4, form=form)
    x |= {"delta": x["delta"][0, 0], "B": x["B"][0, :3].clone(), "C": x["C"][0, :3].clone()}
    for drop in ((), ("initial_state", "D_skip", "z", "delta_bias")):
        given = {k: v for k, v in x.items() if k not in drop}
        exact = in_double(given)
        leaves = {k: v.clone().requires_grad_() for k, v in given.items()}
        truth, found = selective_scan_ref(**exact), selective_scan(**leaves, backend=backend)
        draw = torch.Generator().manual_seed(1)
        seeds = [torch.randn(t.shape, generator=draw, dtype=t.dtype) for t in truth]
        wanted = torch.autograd.grad(truth, list(exact.values()), seeds)
        grads = torch.autograd.grad(
            found, list(leaves.values()), [s.to(f) for s, f in zip(seeds, found, strict=True)]
        )
        for name, a, b in zip(
            ("y", "state", *given), (*found, *grads), (*truth, *wanted), strict=True
        ):
            assert error(a, b) < 2e-6, name


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_short_contexts_continue_long_ones(backend: str) -> None:
    """The state of a convolution goes on through the recurrence, one reading at a time."""
    x = scan_arguments(2, 40, 3, 4)
    x |= {"delta": x["delta"][0, 0], "B": x["B"][0, :3].clone(), "C": x["C"][0, :3].clone()}
    whole, last = selective_scan(**x, backend=backend)
    head = x | {"u": x["u"][:, :39], "z": x["z"][:, :39]}
    _, state = selective_scan(**head, backend=backend)
    y, state = selective_scan(
        **(x | {"u": x["u"][:, 39:], "z": x["z"][:, 39:], "initial_state": state}),
        backend=backend,
    )
    assert error(y, whole[:, 39:]) < 1e-5
    assert error(state, last) < 1e-6
