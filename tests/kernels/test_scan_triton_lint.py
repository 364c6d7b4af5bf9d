"""What the compiler makes of the Triton kernels for an H100: checked without a GPU.

A kernel is compiled for sm_90 and read back with the tools that Triton ships: a spill, or a
horizontal exchange where none belongs, is a performance bug that no other test would see.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

triton = pytest.importorskip("triton")

# In a process of its own: this one may run Triton's interpreter, where nothing is compiled.
SCRIPT = """
import sys
from importlib import import_module
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from sensorssm_kernels import math_triton

math_triton._HAS_PTX = tl.constexpr(True)  # as where torch is built for CUDA
module = import_module(f"sensorssm_kernels.scan_{sys.argv[1]}_triton")
kernel = getattr(module, f"scan_{sys.argv[1]}_kernel")
constants = eval(sys.argv[2], {})
kind = {"starts_ptr": "*i64", "lengths_ptr": "*i64", "chunk_at_ptr": "*i64"}
signature = {
    name: "constexpr" if name in constants
    else "i32" if name in ("length", "segments", "steps", "tokens")
    else kind.get(name, "*fp32")
    for name in kernel.arg_names
}
aligned = {
    (i,): [["tt.divisibility", 16]]
    for i, name in enumerate(signature) if name.endswith("_ptr")
}
source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
built = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1})
open(sys.argv[3], "wb").write(built.asm["cubin"])
"""
COMMON = {
    "HAS_SKIP": True, "HAS_Z": True, "HAS_BIAS": True, "SOFTPLUS": True, "RAGGED": False,
    "SHARED": False, "FIXED_B": False, "FIXED_C": False, "DIM": 256, "STATES": 16, "N": 16,
}  # fmt: skip
FORWARD = COMMON | {"HAS_FIRST": False, "KEEP": False, "ONLY_STATE": False, "CHUNK": 8}
BACKWARD = COMMON | {"HAS_FIRST": False, "HAS_LAST": False}
COMPLEX = {k: v for k, v in COMMON.items() if k != "SHARED"}
COMPLEX |= {"BD": 8, "T": 4, "NL": 4, "STAGES": 3}


def read_back(kernel: str, constants: dict, folder: Path) -> tuple[int, int, str]:
    """Return registers, bytes of stack and the machine code of a kernel compiled for sm_90."""
    binary = folder / "kernel.cubin"
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment |= {"PYTHONPATH": "kernels", "TRITON_DEFAULT_FP_FUSION": "1"}
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", SCRIPT, kernel, repr(constants), str(binary)]
    subprocess.run(command, check=True, cwd=root, env=environment, capture_output=True)
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    used = subprocess.check_output([tools / "cuobjdump", "-res-usage", binary], text=True)
    code = subprocess.check_output([tools / "nvdisasm", "-c", binary], text=True)
    registers, stack = map(int, re.search(r"REG:(\d+) STACK:(\d+)", used).groups())
    return registers, stack, code


def assert_no_spill(registers: int, stack: int, code: str) -> None:
    """Assert that two warps per scheduler fit, with nothing in local memory."""
    assert stack == 0
    assert registers <= 255
    assert "LDL" not in code and "STL" not in code


TILES = {
    "many channels": {"BD": 32, "T": 4, "NL": 1, "STAGES": 4, "AHEAD": False, "UNROLL": 1},
    "few channels": {"BD": 16, "T": 8, "NL": 2, "STAGES": 6, "AHEAD": True, "UNROLL": 2},
    "one rate for all states": {
        "BD": 32,
        "T": 8,
        "NL": 1,
        "STAGES": 3,
        "AHEAD": False,
        "UNROLL": 1,
        "SHARED": True,
    },
    "training": {"BD": 16, "T": 8, "NL": 2, "STAGES": 4, "AHEAD": False, "UNROLL": 1, "KEEP": True},
}


@pytest.mark.parametrize("name", TILES)
def test_the_forward_does_not_spill_nor_repeat(tmp_path: Path, name: str) -> None:
    """The forward keeps its tile in registers, and no lane repeats another's softplus or gate."""
    tile = TILES[name]
    registers, stack, code = read_back("forward", FORWARD | tile, tmp_path)
    assert_no_spill(registers, stack, code)
    readings = tile["BD"] * tile["T"] // 32
    # The loop, what unrolling leaves over, and the last block: an exponential a state (or one for
    # all) and two more a reading; a block prepared ahead has these once more, before the loop.
    bodies = 2 if tile["UNROLL"] == 1 else tile["UNROLL"] + 2
    states = 1 if tile.get("SHARED") else 16
    assert code.count("MUFU.EX2") <= readings * (bodies * (states + 2) + 2 * tile["AHEAD"])
    # The scan over time exchanges nothing; only the sum over states does, twice a step at most.
    assert code.count("SHFL") <= bodies * 2 * 2 * tile["T"]


def test_the_backward_does_not_spill(tmp_path: Path) -> None:
    """The backward fills the registers of two warps per scheduler, and no more."""
    tile = {"BD": 8, "T": 8, "NL": 4, "STAGES": 3}
    assert_no_spill(*read_back("backward", BACKWARD | tile, tmp_path))


@pytest.mark.parametrize(
    ("kernel", "given"),
    [
        ("complex_forward", {"HAS_FIRST": False, "KEEP": True}),
        ("complex_backward", {"HAS_LAST": False}),
    ],
)
def test_complex_rates_do_not_spill(tmp_path: Path, kernel: str, given: dict) -> None:
    """Pairs fit in registers, and an angle costs no instruction of its own unit."""
    registers, stack, code = read_back(kernel, COMPLEX | given, tmp_path)
    assert_no_spill(registers, stack, code)
    assert "MUFU.SIN" not in code and "MUFU.COS" not in code
    # The loop and the last block: an exponential a state, two a reading, and the gate's.
    assert code.count("MUFU.EX2") <= 2 * (16 + 3)
