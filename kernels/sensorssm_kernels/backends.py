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
# Looked up once, here: torch.compile reads them as constants.
INTERPRETED = os.environ.get("TRITON_INTERPRET", "0") == "1"  # Triton then takes CPU tensors
_INSTALLED = {"triton": find_spec("triton") is not None, "cpu": find_spec("numba") is not None}
_log = logging.getLogger(__name__)


def choose_backend(asked: str, *tensors: Tensor | None) -> str:
    """Return the backend for these tensors; a backend asked for by name runs or raises."""
    if asked not in NAMES:
        raise ArgumentError.of("backend", repr(asked), " or ".join(map(repr, NAMES)))
    given = [x for x in tensors if x is not None]
    device = given[0].device.type
    name = asked if asked != "auto" else _native(device)
    obstacle = _obstacle(name, device, [x.dtype for x in given])
    if asked != "auto" and obstacle:
        raise BackendError(f"backend {asked!r} cannot run this call: {obstacle}")
    chosen = "reference" if obstacle else name
    if asked == "auto" and not torch.compiler.is_compiling():
        _report(chosen, device, obstacle)
    return chosen


def _native(device: str) -> str:
    """Return the fast backend of a kind of device."""
    return {"cuda": "triton", "cpu": "cpu"}.get(device, "reference")


def _obstacle(backend: str, device: str, dtypes: list[torch.dtype]) -> str:
    """Return why a backend cannot run, or an empty string."""
    if backend == "reference":
        return ""
    if torch.float64 in dtypes or torch.complex128 in dtypes:
        return "an argument is float64, which only the reference computes in"
    if not _INSTALLED[backend]:
        return f"{'numba' if backend == 'cpu' else 'triton'} is not installed"
    if _native(device) != backend and not (backend == "triton" and INTERPRETED):
        return f"the tensors are on {device}"
    return ""


@cache
def _report(chosen: str, device: str, obstacle: str) -> None:
    """Say once what runs, and why it is not the fast one."""
    why = f" ({obstacle})" if obstacle else ""
    _log.info("selective scan on %s: backend %s%s", device, chosen, why)
