"""Starting a Triton kernel: where its tensors are, and in a third of the time of `kernel[grid]`."""

# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from triton.runtime import driver


def on_own_device(run: Callable[..., Any]) -> Callable[..., Any]:
    """Run with the device of the first tensor as the current one: Triton starts kernels there."""

    @wraps(run)
    def run_there(first: Tensor, *others: Any) -> Any:
        device = first.get_device()
        if device < 0 or device == torch.cuda.current_device():  # below 0: the interpreter's
            return run(first, *others)
        with torch.cuda.device(device):
            return run(first, *others)

    return run_there


class Launch:
    """All of a kernel's call but its tensors: the grid, its integers, its constants and options.

    `kernel[grid](...)` looks at every argument anew: 56 us for the scan's forward on the host of an
    H100, against 19 us or less from the binary that it returns, and 4 to 6 us less without that
    binary's hooks. A binary serves one choice of dtypes, which are the same in every call of a
    `Launch`, and one of 16-byte alignments; the kernel's integers must be `do_not_specialize`. It
    gets addresses: for a tensor it would ask for the address once more, and the driver whose it is.
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
        alignment = tuple([x % 16 for x in addresses])
        start = self._start.get(alignment)
        if start is not None:
            start(*addresses, *self._fixed)
        elif all(self._grid):
            compiled = self._kernel[self._grid](*tensors, *self._numbers, **self._constants)
            if compiled is not None:  # the interpreter compiles nothing
                self._start[alignment] = _from_binary(compiled, self._grid, tensors[0].get_device())


def _from_binary(compiled: Any, grid: tuple[int, int], device: int) -> Callable[..., None]:
    """Return what `compiled[grid]` is, without its hooks for Triton's own profiler."""
    run, function, packed = compiled.run, compiled.function, compiled.packed_metadata
    stream_of = driver.active.get_current_stream

    def start(*arguments: int) -> None:
        run(*grid, 1, stream_of(device), function, packed, None, None, None, *arguments)

    return start
