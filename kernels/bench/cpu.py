"""Training cost of the scan on the CPU: forward + backward, CPU milliseconds over all threads.

    PYTHONPATH=kernels python kernels/bench/cpu.py [B D L N]

mambapy's pscan is timed beside it when it imports. CPU time, not wall time: it holds on a busy machine.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec

import torch
from torch.nn import functional as F

from sensorssm_kernels import selective_scan


def cpu_ms(call, repeats: int) -> float:
    """Return the least CPU time of a call, all threads added up."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def main() -> None:
    """Print CPU ms of the scan, one rate per state and one per channel, and of mambapy's pscan."""
    batch, dim, length, states = (
        map(int, sys.argv[1:5]) if len(sys.argv) > 4 else (32, 128, 336, 16)
    )
    u, delta, z, grad = (torch.randn(batch, length, dim) for _ in range(4))
    A = -torch.arange(1.0, states + 1).repeat(dim, 1)
    B, C = torch.randn(batch, length, states), torch.randn(batch, length, states)
    skip, bias = torch.randn(dim), torch.randn(dim) - 4
    leaves = [x.requires_grad_() for x in (u, delta, A, B, C, skip, z, bias)]
    shared = [*leaves[:2], A.detach()[:, 0].contiguous().requires_grad_(), *leaves[3:]]

    def ours(values):
        y, _ = selective_scan(*values, backend="cpu")
        torch.autograd.grad(y, values, grad)

    def pscan():
        from mambapy.pscan import pscan as scan  # pyright: ignore[reportMissingImports]

        step = F.softplus(delta + bias)
        states = scan(torch.exp(step[..., None] * A), (step * u)[..., None] * B[:, :, None])
        y = ((states @ C[..., None]).squeeze(-1) + skip * u) * F.silu(z)
        torch.autograd.grad(y, leaves, grad)

    for name, values in (("rate per state", leaves), ("rate per channel", shared)):
        with torch.no_grad():
            selective_scan(*values, backend="cpu")
            forward = cpu_ms(lambda v=values: selective_scan(*v, backend="cpu"), 15)
        ours(values)
        print(
            f"{name}: forward {forward:.1f}, forward+backward {cpu_ms(lambda v=values: ours(v), 15):.1f} CPU ms"
        )
    if find_spec("mambapy"):
        print(f"mambapy pscan: forward+backward {cpu_ms(pscan, 2):.1f} CPU ms")


if __name__ == "__main__":
    main()
