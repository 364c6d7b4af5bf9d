"""The scans under sensorssm's models: one definition, a CPU and a GPU version, useful alone.

`selective_scan` runs a whole context, `selective_step` one reading, `causal_conv` the short
convolution before them. Each takes the state and returns the new one; none keeps anything.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensorssm_kernels.conv import causal_conv
    from sensorssm_kernels.errors import ArgumentError, BackendError, KernelError
    from sensorssm_kernels.scan import selective_scan
    from sensorssm_kernels.scan_ref import selective_scan_ref
    from sensorssm_kernels.step import selective_step

_HOME = {
    "ArgumentError": "errors",
    "BackendError": "errors",
    "KernelError": "errors",
    "causal_conv": "conv",
    "selective_scan": "scan",
    "selective_scan_ref": "scan_ref",
    "selective_step": "step",
}
__all__ = [
    "ArgumentError",
    "BackendError",
    "KernelError",
    "causal_conv",
    "selective_scan",
    "selective_scan_ref",
    "selective_step",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
