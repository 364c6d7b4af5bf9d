"""How the scan's operators behave under `torch.vmap` and `torch.autocast`."""

from __future__ import annotations

import torch
from torch import Tensor

from sensorssm_kernels.scan_ops import scan_backward_op, scan_op

_STREAMS = (0, 1, 3, 4, 6)  # u, delta, B, C, z: readings, one row each
_STATE = 8


@scan_op.register_vmap
def _(info, in_dims, *arguments):
    """Batch over readings by making the batch larger; over parameters by a loop."""
    batched = {i for i, axis in enumerate(in_dims[:11]) if axis is not None}
    packed = arguments[10] is not None
    fixed = any(arguments[i].ndim - (i in batched) == 2 for i in (3, 4))  # B or C of shape (D, N)
    if packed or fixed or not batched <= {*_STREAMS, _STATE}:
        return loop_slices(scan_op, info.batch_size, in_dims, arguments), (0, 0, 0)
    folded = list(arguments)
    for i in (*_STREAMS, _STATE):
        if arguments[i] is not None:
            folded[i] = bring_front(arguments[i], in_dims[i], info.batch_size).flatten(0, 1)
    if arguments[9] is not None:
        folded[9] = arguments[9].repeat(info.batch_size)
    outputs = scan_op(*folded)
    return tuple(x.unflatten(0, (info.batch_size, -1)) for x in outputs), (0, 0, 0)


@scan_backward_op.register_vmap
def _(info, in_dims, *arguments):
    """Loop: gradients of shared parameters must not add up over the batch."""
    grads = loop_slices(scan_backward_op, info.batch_size, in_dims, arguments)
    return grads, [0] * len(grads)


def loop_slices(op, size: int, in_dims, arguments):
    """Return the stacked outputs of `op` on each slice."""
    slices = [
        op(
            *(
                x if axis is None else x.select(axis, i)
                for x, axis in zip(arguments, in_dims, strict=True)
            )
        )
        for i in range(size)
    ]
    stacked = [torch.stack(outputs) for outputs in zip(*slices, strict=True)]
    return tuple(stacked) if isinstance(slices[0], tuple) else stacked


def bring_front(tensor: Tensor, axis: int | None, size: int) -> Tensor:
    """Return the tensor with its batched axis first, repeated when it has none."""
    return tensor.expand(size, *tensor.shape) if axis is None else tensor.movedim(axis, 0)


def _autocast(device: str):
    """Return the rule: readings go down to autocast's dtype, rates and states stay float32."""
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device.upper()}"))

    def rule(*arguments):
        low = torch.get_autocast_dtype(device)
        cast = list(arguments)
        for i in _STREAMS:
            if cast[i] is not None and not cast[i].is_complex():
                cast[i] = cast[i].to(low)
        with torch._C._ExcludeDispatchKeyGuard(keys):
            return scan_op(*cast)

    return rule


_library = torch.library.Library("sensorssm", "FRAGMENT")
_library.impl("selective_scan", _autocast("cpu"), "AutocastCPU")
_library.impl("selective_scan", _autocast("cuda"), "AutocastCUDA")
