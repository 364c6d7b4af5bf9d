"""Timing on one GPU: medians of CUDA-graph replays and of eager calls, and what the chip can do.

Graph replays time the kernels; eager calls time what a user feels, Python included, with a cold L2.
"""

# pyright: reportCallIssue=false, reportReturnType=false
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
import triton
import triton.language as tl


@dataclass(frozen=True)
class Ceilings:
    """Measured rates of one GPU: bytes per second copied, exponentials per second."""

    bytes_per_s: float
    exps_per_s: float


@dataclass(frozen=True)
class Floor:
    """The least time a scan can take, in ms: bytes moved once, or one exponential per state."""

    forward_ms: float
    both_ms: float

    @classmethod
    def of(cls, shape: tuple[int, int, int, int], item: int, ceilings: Ceilings) -> Floor:
        """Count for u, delta, z, y (B, L, D) and B, C (B, L, N), then their gradients."""
        batch, dim, length, states = shape
        wide, narrow = batch * dim * length, batch * length * states
        read = (4 * wide + 2 * narrow) * item
        moved = read + (7 * wide + 4 * narrow) * item
        exps = wide * (states + 2)
        return cls(
            1e3 * max(read / ceilings.bytes_per_s, exps / ceilings.exps_per_s),
            1e3 * max(moved / ceilings.bytes_per_s, 2 * exps / ceilings.exps_per_s),
        )


@triton.jit
def _exps_kernel(out_ptr, rounds, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a = at.to(tl.float32) * 1e-9
    b = a + 0.1
    c = a + 0.2
    d = a + 0.3
    for _ in range(rounds):
        a = tl.exp2(-a)
        b = tl.exp2(-b)
        c = tl.exp2(-c)
        d = tl.exp2(-d)
    tl.store(out_ptr + at, a + b + c + d)


def measure_ceilings() -> Ceilings:
    """Return this GPU's copy bandwidth (read plus written) and its rate of exponentials."""
    size, rounds = 1 << 30, 2000
    source = torch.randint(0, 255, (size,), device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    copy_ms = eager_ms(lambda: target.copy_(source))
    blocks = torch.cuda.get_device_properties(0).multi_processor_count * 32
    out = torch.empty(blocks * 256, device="cuda")
    exps_ms = eager_ms(lambda: _exps_kernel[(blocks,)](out, rounds, BLOCK=256, num_warps=8))
    return Ceilings(2 * size / (copy_ms * 1e-3), 4 * rounds * out.numel() / (exps_ms * 1e-3))


def eager_ms(call: Callable[[], object]) -> float:
    """Return the median time of a call, from Python to the last kernel, with a cold L2."""
    return triton.testing.do_bench(call, warmup=10, rep=60, return_mode="median")


def graph_ms(call: Callable[[], object], *, samples: int = 30, budget_ms: float = 250) -> float:
    """Return the median time of a CUDA-graph replay of one call, at least 2 ms to a sample."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    graph.replay()
    once = max(_replay_ms(graph, 1), 1e-3)
    each = max(1, min(20, int(2.0 / once)))
    count = max(5, min(samples, int(budget_ms / (once * each))))
    return median(_replay_ms(graph, each) for _ in range(count))


def peak_mib(call: Callable[[], object]) -> float:
    """Return the memory a call takes at its peak, beyond what was there, in MiB."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _replay_ms(graph: torch.cuda.CUDAGraph, count: int) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(count):
        graph.replay()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / count
