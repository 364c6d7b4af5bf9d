"""Which implementation runs a call: chosen by device and dtype, or asked for by name.

========== ==================================== ==========================================
backend    runs on                              needs
========== ==================================== ==========================================
triton     CUDA and ROCm GPUs                   triton; float32, bfloat16 or float16
cpu        the CPU                              numba; the same dtypes (computed in float32)
reference  everything, float64 too              nothing; slow, differentiable twice and more
========== ==================================== ==========================================
"""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from sensorssm_kernels.errors import ArgumentError, BackendError

NAMES = ("auto", "triton", "cpu", "reference")
_log = logging.getLogger(__name__)


def choose_backend(asked: str, *tensors: Tensor | None) -> str:
    """Return the backend for these tensors; a backend asked for by name runs or raises."""
    if asked not in NAMES:
        raise ArgumentError.of("backend", repr(asked), " or ".join(map(repr, NAMES)))
    if asked == "reference":
        return asked
    device, dtypes = _device(tensors), frozenset(x.dtype for x in tensors if x is not None)
    if asked == "auto":
        chosen = next((x for x in ("triton", "cpu") if not _obstacle(x, device, dtypes)), None)
        chosen = chosen or "reference"
        if not torch.compiler.is_compiling():
            _report(chosen, device, _obstacle("triton" if device == "cuda" else "cpu", device, dtypes))
        return chosen
    obstacle = _obstacle(asked, device, dtypes)
    if obstacle:
        raise BackendError(f"backend {asked!r} cannot run this call: {obstacle}")
    return asked


def is_interpreted() -> bool:
    """Return whether Triton runs its kernels in its interpreter, which takes CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def _device(tensors) -> str:
    return next(x.device.type for x in tensors if x is not None)


def _obstacle(backend: str, device: str, dtypes: frozenset[torch.dtype]) -> str:
    """Return why a backend cannot run, or an empty string."""
    if torch.float64 in dtypes or torch.complex128 in dtypes:
        return "an argument is float64, which only the reference computes in"
    if backend == "cpu":
        if device != "cpu":
            return f"the tensors are on {device}"
        return "" if _is_installed("numba") else "numba is not installed"
    if device != "cuda" and not (device == "cpu" and is_interpreted()):
        return f"the tensors are on {device}"
    return "" if _is_installed("triton") else "triton is not installed"


@cache
def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


@cache
def _report(chosen: str, device: str, obstacle: str) -> None:
    """Say once what runs, and why it is not the fast one."""
    why = f" ({obstacle})" if chosen == "reference" and obstacle else ""
    _log.info("selective scan on %s: backend %s%s", device, chosen, why)
