"""The scan on one GPU beside mamba-ssm, Mamba-2's and flash-linear-attention's where they import.

Prints the tables of kernels/README.md. Run it as ``make bench`` or

    PYTHONPATH=kernels python kernels/bench/gpu.py [--json FILE]
        [--tables scan ...] [--dtypes bf16 ...] [--shapes 256,128,96,16 ...]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from statistics import geometric_mean

import torch
import triton
from measure import Ceilings, Floor, eager_ms, graph_ms, measure_ceilings, peak_mib

from sensorssm_kernels import selective_scan, selective_scan_ref, selective_step

Shape = tuple[int, int, int, int]  # B, D, L, N
MANY_ROWS: list[Shape] = [
    (8, 1024, 2048, 16), (32, 256, 512, 16), (256, 128, 96, 16), (512, 64, 336, 16),
    (64, 128, 4096, 16),
]  # fmt: skip
SHAPES: list[Shape] = [*MANY_ROWS, (1, 512, 65536, 16), (4096, 32, 32, 16)]
TABLES = ("accuracy", "scan", "step", "shared", "complex")
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}

# mamba-ssm 2.3.2.post1 (its CUDA kernel built for sm_90), measured EARLIER on an H100 80GB HBM3,
# torch 2.11.0+cu130, the same shapes and method: forward and forward+backward graph medians, ms.
MAMBA_MS = {
    "bf16": [(0.299, 1.544), (0.075, 0.380), (0.158, 0.590), (0.479, 1.769), (0.704, 3.390),
             (0.742, 4.441), (0.583, 2.205)],
    "fp32": [(0.592, 1.992), (0.163, 0.547), (0.159, 0.592), (0.603, 2.205), (1.294, 4.389),
             (1.770, 6.046), (0.590, 2.336)],
}  # fmt: skip


def arguments(
    shape: Shape, dtype: torch.dtype, *, shared: bool = False, pairs: bool = False,
    fixed: bool = False, seed: int = 0,
):  # fmt: skip
    """Return random arguments in the order of `selective_scan`, and a gradient of y.

    Of one rate per channel if `shared`, of complex ones if `pairs`, of B and C `fixed` in time.
    """
    batch, dim, length, states = shape
    draw = torch.Generator(device="cuda").manual_seed(seed)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=draw, device="cuda")

    rates = torch.arange(1.0, states + 1, device="cuda").repeat(dim, 1)
    rates = rates * torch.exp(0.1 * normal(dim, states))
    low, high = math.log(1e-3), math.log(0.1)
    step = torch.exp(low + (high - low) * torch.rand(dim, generator=draw, device="cuda"))
    rates = rates[:, 0].contiguous() if shared else rates
    matrix = (dim, states) if fixed else (batch, length, states)
    values = [
        normal(batch, length, dim).to(dtype),
        (0.5 * normal(batch, length, dim)).to(dtype),
        torch.complex(-rates, 3 * normal(*rates.shape)) if pairs else -rates,
        normal(*matrix).to(dtype),
        normal(*matrix).to(dtype),
        normal(dim),
        normal(batch, length, dim).to(dtype),
        step + torch.log(-torch.expm1(-step)),
    ]
    return [x.requires_grad_() for x in values], normal(batch, length, dim).to(dtype)


def measure_scan(shape: Shape, dtype: torch.dtype, **form: bool) -> dict[str, float]:
    """Return graph and eager medians of forward and forward+backward, and the peak memory."""
    values, grad = arguments(shape, dtype, **form)

    def forward():
        return selective_scan(*values)[0]

    def both():
        return torch.autograd.grad(forward(), values, grad)

    with torch.no_grad():
        times = {"forward": graph_ms(forward), "forward_eager": eager_ms(forward)}
    return times | {"both": graph_ms(both), "both_eager": eager_ms(both), "peak": peak_mib(both)}


def measure_peer(shape: Shape, dtype: torch.dtype) -> dict[str, float]:
    """Return the same for mamba-ssm, in its own layout (B, D, L)."""
    from mamba_ssm.ops import selective_scan_interface  # pyright: ignore[reportMissingImports]

    selective_scan_fn = selective_scan_interface.selective_scan_fn

    (u, delta, A, B, C, D, z, bias), grad = arguments(shape, dtype)
    u, delta, B, C, z, grad = (
        x.detach().mT.contiguous().requires_grad_(x.requires_grad)
        for x in (u, delta, B, C, z, grad)
    )
    leaves = (u, delta, A, B, C, D, z, bias)

    def forward():
        return selective_scan_fn(u, delta, A, B, C, D, z, bias, delta_softplus=True)

    with torch.no_grad():
        once = graph_ms(forward)
    return {"forward": once, "both": graph_ms(lambda: torch.autograd.grad(forward(), leaves, grad))}


def scan_table(
    ceilings: Ceilings, dtypes: Sequence[str], shapes: Sequence[Shape], rows: list[dict]
) -> None:
    """Print one row per shape and dtype, and the geometric means of the many-row shapes."""
    print("dtype  B,D,L,N               floor f / f+b   mamba f / f+b     ours f / f+b    gain f / f+b"
          "   x floor      eager f / f+b   peak MiB")  # fmt: skip
    for name in dtypes:
        dtype, gains = DTYPES[name], []
        for shape in shapes:
            floor, ours = Floor.of(shape, dtype.itemsize, ceilings), measure_scan(shape, dtype)
            mamba = MAMBA_MS[name][SHAPES.index(shape)]
            if find_spec("mamba_ssm"):
                live = measure_peer(shape, dtype)
                mamba = (live["forward"], live["both"])
            gain = (mamba[0] / ours["forward"], mamba[1] / ours["both"])
            if shape in MANY_ROWS:
                gains.append(gain)
            over = (ours["forward"] / floor.forward_ms, ours["both"] / floor.both_ms)
            rows.append({"dtype": name, "shape": shape, "mamba": mamba, "gain": gain, **ours,
                         "over_floor": over})  # fmt: skip
            print(f"{name}  {','.join(map(str, shape)):20s} {floor.forward_ms:.3f} / {floor.both_ms:.3f}"
                  f"   {mamba[0]:.3f} / {mamba[1]:.3f}   {ours['forward']:.4f} / {ours['both']:.4f}"
                  f"   {gain[0]:5.2f} / {gain[1]:5.2f}   {over[0]:.2f} / {over[1]:.2f}"
                  f"   {ours['forward_eager']:.3f} / {ours['both_eager']:.3f}   {ours['peak']:.0f}",
                  flush=True)  # fmt: skip
        if not gains:
            continue
        print(f"{name}  geometric mean of the {len(gains)} many-row shapes: forward "
              f"{geometric_mean(g for g, _ in gains):.2f}, forward+backward "
              f"{geometric_mean(g for _, g in gains):.2f}")  # fmt: skip


def step_table(ceilings: Ceilings) -> None:
    """Print the single step at several batch sizes beside its byte floor."""
    dim, states = 256, 16
    print("step (D 256, N 16, fp32): batch, floor ms, graph ms, x floor, eager ms")
    for batch in (1, 64, 4096):
        state = torch.randn(batch, dim, states, device="cuda")
        u, delta, z = (torch.randn(batch, dim, device="cuda") for _ in range(3))
        A = -torch.rand(dim, states, device="cuda")
        B, C = (torch.randn(batch, states, device="cuda") for _ in range(2))
        skip, bias = torch.randn(dim, device="cuda"), torch.randn(dim, device="cuda") - 4
        size = 2 * state.numel() + 4 * u.numel() + 2 * B.numel() + A.numel() + 2 * dim
        floor = 1e3 * 4 * size / ceilings.bytes_per_s
        call = (state, u, delta, A, B, C, skip, z, bias)
        with torch.no_grad():
            graph = graph_ms(lambda call=call: selective_step(*call))
            eager = eager_ms(lambda call=call: selective_step(*call))
        print(f"{batch:5d}  {floor:.4f}  {graph:.4f}  {graph / floor:.2f}  {eager:.3f}", flush=True)


def shared_table() -> None:
    """Print the form with one rate per channel beside the one with a rate per state."""
    print("one rate per channel against one per state: dtype, shape, f ms, f+b ms, gain f / f+b")
    for name, shape in product(DTYPES, (SHAPES[0], SHAPES[2])):
        full, shared = (measure_scan(shape, DTYPES[name], shared=s) for s in (False, True))
        print(f"{name}  {shape}  {shared['forward']:.4f}  {shared['both']:.4f}  "
              f"{full['forward'] / shared['forward']:.2f} / {full['both'] / shared['both']:.2f}",
              flush=True)  # fmt: skip


def complex_table() -> None:
    """Print complex rates beside real ones, with B and C that change in time and with fixed ones."""
    print(
        "complex rates against real ones: dtype, shape, B and C, f ms, f+b ms, times real f / f+b"
    )
    for name, shape, fixed in product(DTYPES, (SHAPES[0], SHAPES[2]), (False, True)):
        real, pairs = (
            measure_scan(shape, DTYPES[name], pairs=p, fixed=fixed) for p in (False, True)
        )
        print(f"{name}  {shape}  {'fixed' if fixed else 'moving'}  {pairs['forward']:.4f}  "
              f"{pairs['both']:.4f}  {pairs['forward'] / real['forward']:.2f} / "
              f"{pairs['both'] / real['both']:.2f}", flush=True)  # fmt: skip


def accuracy_table() -> None:
    """Print relative distances to float64 of the output and of all gradients."""
    names = ("y", "u", "delta", "A", "B", "C", "D_skip", "z", "delta_bias")
    for name, dtype in DTYPES.items():
        values, grad = arguments((2, 128, 500, 16), dtype)
        exact = [x.detach().double().requires_grad_() for x in values]
        truth = selective_scan_ref(*exact)[0]
        found = selective_scan(*values)[0]
        wanted = (truth, *torch.autograd.grad(truth, exact, grad.double()))
        got = (found, *torch.autograd.grad(found, values, grad))
        errors = {
            n: float((a.detach().double() - b.detach()).norm() / b.detach().norm())
            for n, a, b in zip(names, got, wanted, strict=True)
        }
        print(f"accuracy {name}:", {n: f"{e:.1e}" for n, e in errors.items()}, flush=True)


def main() -> None:
    """Measure and print everything; write the rows as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    names = {",".join(map(str, shape)): shape for shape in SHAPES}
    parser.add_argument("--shapes", nargs="+", choices=names, default=list(names))
    options = parser.parse_args()
    ceilings, rows = measure_ceilings(), []
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}, "
          f"copy {ceilings.bytes_per_s / 1e12:.2f} TB/s, exp2 {ceilings.exps_per_s / 1e12:.2f} T/s")  # fmt: skip
    if not find_spec("mamba_ssm"):
        print("mamba-ssm does not import here: its columns are figures measured earlier on an H100 "
              "(mamba-ssm 2.3.2.post1, torch 2.11.0+cu130, same shapes and method)")  # fmt: skip
    tables = {
        "accuracy": accuracy_table,
        "scan": lambda: scan_table(
            ceilings, options.dtypes, [names[x] for x in options.shapes], rows
        ),
        "step": lambda: step_table(ceilings),
        "shared": shared_table,
        "complex": complex_table,
    }
    for name in options.tables:
        tables[name]()
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
