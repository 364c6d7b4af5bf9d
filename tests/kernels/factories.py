"""Arguments of any size for the scans, and the one measure of how far a result is off."""

from __future__ import annotations

import torch
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def device_of(backend: str) -> str:
    """Return where the tensors of a backend live in these tests."""
    return DEVICE if backend == "triton" else "cpu"


def scan_arguments(
    batch: int,
    length: int,
    dim: int,
    states: int,
    *,
    form: str = "full",
    rows: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
) -> dict[str, Tensor]:
    """Return random arguments: rates near -1 .. -N, steps between 0.001 and a few."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int, kind: torch.dtype = dtype) -> Tensor:
        return torch.randn(*shape, generator=draw).to(device, kind)

    exact = torch.promote_types(dtype, torch.float32)
    rates = torch.arange(1.0, states + 1).repeat(dim, 1) * torch.exp(
        0.1 * normal(dim, states).cpu()
    )
    if form == "shared":
        rates = rates[:, 0]
    if form == "complex":
        rates = torch.complex(rates, 3 * normal(dim, states, kind=exact).cpu())
    kind = exact.to_complex() if form == "complex" else exact
    state = normal(rows or batch, dim, states, kind=exact)
    if form == "complex":
        state = torch.complex(state, normal(rows or batch, dim, states, kind=exact))
    return {
        "u": normal(batch, length, dim),
        "delta": 0.5 * normal(batch, length, dim),
        "A": -rates.to(device, kind),
        "B": normal(batch, length, states),
        "C": normal(batch, length, states),
        "D_skip": normal(dim, kind=exact),
        "z": normal(batch, length, dim),
        "delta_bias": torch.rand(dim, generator=draw).to(device, exact) * 4 - 5,
        "initial_state": state,
    }


def in_double(arguments: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the arguments as float64 or complex128 leaves of their own."""
    wide = {k: x.detach().to("cpu") for k, x in arguments.items()}
    wide = {k: x.to(torch.complex128 if x.is_complex() else torch.float64) for k, x in wide.items()}
    return {k: x.requires_grad_() for k, x in wide.items()}


def error(found: Tensor, truth: Tensor) -> float:
    """Return the relative distance |found - truth| / |truth|; NaN counts as infinite."""
    wide = torch.complex128 if truth.is_complex() else torch.float64
    found, truth = found.detach().cpu().to(wide), truth.detach().cpu().to(wide)
    distance = torch.linalg.vector_norm(found - truth) / truth.norm().clamp_min(1e-12)
    return float("inf") if distance.isnan() else float(distance)
