"""Starting a Triton kernel: where its tensors are, and in a third of the time of `kernel[grid]`."""

# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def on_own_device(run: Callable[..., Any]) -> Callable[..., Any]:
    """Run with the device of the first tensor as the current one: Triton starts kernels there."""

    @wraps(run)
    def run_there(first: Tensor, *others: Any) -> Any:
        with torch.cuda.device_of(first):
            return run(first, *others)

    return run_there


class Launch:
    """All of a kernel's call but its tensors: the grid, its integers, its constants and options.

    `kernel[grid](...)` looks at every argument anew: 56 us for the scan's forward on the host of an
    H100, against 19 us or less from the binary that it returns. Calls share a binary when their
    dtypes and 16-byte alignments are the same; the kernel's integers must be `do_not_specialize`. A
    binary gets addresses: for a tensor it would ask for the address once more, and the driver whose
    it is.
    """

    def __init__(
        self, kernel: Any, grid: tuple[int, int], numbers: tuple[int, ...], **constants: Any
    ) -> None:
        self._kernel, self._grid, self._numbers = kernel, grid, numbers
        self._constants = constants
        self._fixed = *numbers, *(constants[x] for x in kernel.arg_names if x in constants)
        self._start: dict[tuple, Any] = {}

    def __call__(self, *tensors: Tensor) -> None:
        """Start the kernel, unless its grid is empty."""
        addresses = [x.data_ptr() for x in tensors]
        kind = (*[x.dtype for x in tensors], *[x % 16 for x in addresses])
        start = self._start.get(kind)
        if start is not None:
            start(*addresses, *self._fixed)
        elif all(self._grid):
            compiled = self._kernel[self._grid](*tensors, *self._numbers, **self._constants)
            if compiled is not None:  # the interpreter compiles nothing
                self._start[kind] = compiled[*self._grid, 1]
