"""Training cost of the kernels on the CPU: forward and forward + backward, CPU milliseconds.

    OMP_WAIT_POLICY=PASSIVE PYTHONPATH=kernels python kernels/bench/cpu.py [B D L N]

Beside them, in the same run: mambapy's pscan, when it imports, and the textbook's loop over time.
CPU time of all threads, not wall time, and the least of several runs taken in turns: that holds on
a busy machine, as far as anything does. Threads that wait must not spin, which counts as CPU time:
hence the policy.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional as F

from sensorssm_kernels import causal_conv, selective_scan

SIZES = (32, 128, 336, 16)
ROUNDS = 15


def main() -> None:
    """Print one line per candidate: CPU ms, and how many times our scan it takes."""
    batch, dim, length, states = map(int, sys.argv[1:5]) if len(sys.argv) > 4 else SIZES
    torch.manual_seed(0)
    leaves = _arguments(batch, dim, length, states)
    print(f"B, D, L, N = {batch}, {dim}, {length}, {states}; {torch.get_num_threads()} threads")
    ours = {
        "rate per state": (selective_scan, leaves),
        "rate per channel": (selective_scan, _with_rates(leaves, leaves[2][:, 0])),
        "complex rates": (selective_scan, _with_rates(leaves, torch.complex(leaves[2], leaves[2]))),
        "convolution": (causal_conv, _conv_arguments(leaves[0])),
        "conv1d of torch": (_conv1d, _conv_arguments(leaves[0])),
    }
    fast = _measure(ours, rounds=ROUNDS)
    scan = fast["rate per state"][1]
    _report(fast, scan)
    slow = {"mambapy pscan": (_pscan, leaves)} if find_spec("mambapy") else {}
    _report(_measure(slow, rounds=3, only_training=True), scan)
    loop = {"loop over time": (_loop, leaves)}
    _report(_measure(loop, rounds=1, only_training=True), scan)


def _arguments(batch: int, dim: int, length: int, states: int) -> list[Tensor]:
    """Return u, delta, A, B, C, D_skip, z and delta_bias, to be differentiated."""
    u, delta, z = (torch.randn(batch, length, dim) for _ in range(3))
    A = -torch.arange(1.0, states + 1).repeat(dim, 1)
    B, C = (torch.randn(batch, length, states) for _ in range(2))
    tensors = (u, delta, A, B, C, torch.randn(dim), z, torch.randn(dim) - 4)
    return [x.requires_grad_() for x in tensors]


def _with_rates(leaves: list[Tensor], rates: Tensor) -> list[Tensor]:
    return [*leaves[:2], rates.detach().contiguous().requires_grad_(), *leaves[3:]]


def _conv_arguments(x: Tensor) -> list[Tensor]:
    """Return x, weight, bias and state for four taps."""
    dim = x.shape[2]
    shapes = ((dim, 4), (dim,), (x.shape[0], 3, dim))
    return [x, *(torch.randn(shape).requires_grad_() for shape in shapes)]


Candidates = dict[str, tuple[Callable, list[Tensor]]]


def _measure(
    candidates: Candidates, *, rounds: int, only_training: bool = False
) -> dict[str, tuple[float, float]]:
    """Return the least CPU ms of a forward and of a forward + backward, candidates in turns."""
    best = dict.fromkeys(candidates, (float("inf"), float("inf")))
    for number in range(rounds + (rounds > 1)):  # the first round compiles
        for name, (call, leaves) in candidates.items():
            with torch.no_grad():
                alone = 0.0 if only_training else _cpu_ms(call, leaves)
            both = _cpu_ms(_train, call, leaves)
            if number or rounds == 1:
                best[name] = min(best[name][0], alone), min(best[name][1], both)
    return best


def _cpu_ms(call: Callable, *arguments) -> float:
    began = time.process_time()
    call(*arguments) if call is _train else call(*arguments[0])
    return 1e3 * (time.process_time() - began)


def _train(call: Callable, leaves: list[Tensor]) -> None:
    y = call(*leaves)
    y = y[0] if isinstance(y, tuple) else y
    torch.autograd.grad(y, leaves, y.detach())


def _report(measured: dict[str, tuple[float, float]], scan: float) -> None:
    for name, (forward, both) in measured.items():
        alone = f"forward {forward:7.2f}, " if forward else ""
        print(f"{name:17} {alone}forward+backward {both:9.2f} CPU ms, {both / scan:7.2f} x")


def _conv1d(x: Tensor, weight: Tensor, bias: Tensor, state: Tensor) -> Tensor:
    padded = torch.cat([state, x], dim=1).mT
    return F.silu(F.conv1d(padded, weight[:, None], bias, groups=x.shape[2]).mT)


def _pscan(u, delta, A, B, C, skip, z, bias) -> Tensor:
    """Return y from mambapy's parallel scan, called as its own model does."""
    from mambapy.pscan import pscan  # pyright: ignore[reportMissingImports]

    step = F.softplus(delta + bias)
    states = pscan(torch.exp(step[..., None] * A), (step * u)[..., None] * B[:, :, None])
    return ((states @ C[..., None]).squeeze(-1) + skip * u) * F.silu(z)


def _loop(u, delta, A, B, C, skip, z, bias) -> Tensor:
    """Return y from the loop that papers print, and mamba-ssm's reference runs: index by step."""
    step = F.softplus(delta + bias)
    decay = torch.exp(step[..., None] * A)
    drive = (step * u)[..., None] * B[:, :, None]
    state, outputs = torch.zeros_like(drive[:, 0]), []
    for t in range(u.shape[1]):
        state = decay[:, t] * state + drive[:, t]
        outputs.append((state * C[:, t, None]).sum(-1))
    return (torch.stack(outputs, dim=1) + skip * u) * F.silu(z)


if __name__ == "__main__":
    main()
