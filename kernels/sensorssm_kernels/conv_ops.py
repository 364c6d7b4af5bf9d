"""The causal convolution as an operator of torch: shapes without data, gradients, vmap."""

# pyright: reportCallIssue=false
from __future__ import annotations

from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

from sensorssm_kernels.conv_ref import causal_conv_ref
from sensorssm_kernels.scan_ops import is_watched
from sensorssm_kernels.scan_rows import count_rows
from sensorssm_kernels.scan_rules import bring_front, loop_slices


def run_conv(*arguments) -> tuple[Tensor, Tensor]:
    """Return y and the last readings, past the dispatcher when nobody is watching."""
    if is_watched(arguments[0]):
        return conv_op(*arguments)
    return _EagerConv.apply(*arguments)


def _implementation(backend: str) -> ModuleType:
    return import_module(f"sensorssm_kernels.conv_{backend}")


@torch.library.custom_op("sensorssm::causal_conv", mutates_args=())
def conv_op(
    x: Tensor, weight: Tensor, bias: Tensor | None, state: Tensor | None, lengths: Tensor | None,
    cu_seqlens: Tensor | None, silu: bool, backend: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return y and the last readings of every row."""
    run = _implementation(backend).conv_forward
    return run(x, weight, bias, state, lengths, cu_seqlens, silu)


@conv_op.register_fake
def _(x, weight, bias, state, lengths, cu_seqlens, silu, backend):
    rows = count_rows(x.shape[0], cu_seqlens)
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    return y, x.new_empty(rows, weight.shape[1] - 1, x.shape[2])


@torch.library.custom_op("sensorssm::causal_conv_backward", mutates_args=())
def conv_backward_op(
    grad_y: Tensor, grad_state: Tensor | None, x: Tensor, weight: Tensor, bias: Tensor | None,
    state: Tensor | None, lengths: Tensor | None, cu_seqlens: Tensor | None, silu: bool,
    backend: str,
) -> list[Tensor]:  # fmt: skip
    """Return the gradients of x, weight, bias, state; empty where there was no argument."""
    run = _implementation(backend).conv_backward
    grads = run(grad_y, grad_state, x, weight, bias, state, lengths, cu_seqlens, silu)
    return [x.new_empty(0) if grad is None else grad for grad in grads]


@conv_backward_op.register_fake
def _(grad_y, grad_state, *arguments):
    x = arguments[0]
    return [x.new_empty(0) if a is None else a.new_empty(a.shape) for a in arguments[:4]]


def _keep(ctx, inputs, output) -> None:
    ctx.silu, ctx.backend = inputs[6:]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[:6])


def _backward(ctx, grad_y, grad_state):
    """Return the gradients: the backend's, or with a graph of their own, the reference's."""
    tensors = ctx.saved_tensors
    grad_y = torch.zeros_like(tensors[0]) if grad_y is None else grad_y.contiguous()
    if torch.is_grad_enabled():
        grads = _differentiable(ctx, grad_y, grad_state)
    elif is_watched(grad_y):
        grads = conv_backward_op(grad_y, grad_state, *tensors, ctx.silu, ctx.backend)
    else:
        run = _implementation(ctx.backend).conv_backward
        grads = run(grad_y, grad_state, *tensors, ctx.silu)
    given = [None if a is None else grad for a, grad in zip(tensors[:4], grads, strict=True)]
    return *given, None, None, None, None


def _differentiable(ctx, grad_y, grad_state) -> list[Tensor | None]:
    *tensors, lengths, cu_seqlens = ctx.saved_tensors
    y, state = causal_conv_ref(
        *tensors, activation="silu" if ctx.silu else None, lengths=lengths, cu_seqlens=cu_seqlens
    )
    wanted = [a for a in tensors if a is not None and a.requires_grad]
    grad_state = torch.zeros_like(state) if grad_state is None else grad_state
    grads = iter(
        torch.autograd.grad(
            (y, state), wanted, (grad_y, grad_state), create_graph=True, materialize_grads=True
        )
    )
    return [next(grads) if a is not None and a.requires_grad else None for a in tensors]


conv_op.register_autograd(_backward, setup_context=_keep)


class _EagerConv(torch.autograd.Function):
    """The operator's forward and backward without its dispatcher."""

    @staticmethod
    def forward(ctx, *arguments):
        _keep(ctx, arguments, None)
        return _implementation(arguments[7]).conv_forward(*arguments[:7])

    @staticmethod
    def backward(ctx, grad_y, grad_state):
        return _backward(ctx, grad_y, grad_state)


@conv_op.register_vmap
def _(info, in_dims, *arguments):
    """Batch over readings by making the batch larger; over parameters by a loop."""
    batched = {i for i, axis in enumerate(in_dims[:6]) if axis is not None}
    if arguments[5] is not None or not batched <= {0, 3}:
        return loop_slices(conv_op, info.batch_size, in_dims, arguments), (0, 0)
    folded = list(arguments)
    for i in (0, 3):
        if arguments[i] is not None:
            folded[i] = bring_front(arguments[i], in_dims[i], info.batch_size).flatten(0, 1)
    if arguments[4] is not None:
        folded[4] = arguments[4].repeat(info.batch_size)
    outputs = conv_op(*folded)
    return tuple(x.unflatten(0, (info.batch_size, -1)) for x in outputs), (0, 0)


@conv_backward_op.register_vmap
def _(info, in_dims, *arguments):
    """Loop: gradients of shared parameters must not add up over the batch."""
    grads = loop_slices(conv_backward_op, info.batch_size, in_dims, arguments)
    return grads, [0] * len(grads)
