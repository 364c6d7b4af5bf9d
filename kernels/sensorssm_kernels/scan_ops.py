"""The operator that `torch` knows: shapes without data and gradients (`scan_rules` has the rest).

`sensorssm::selective_scan` and its gradient are opaque to `torch.compile` and `torch.export`;
which implementation runs is an argument. The gradient of the gradient goes through the reference.
"""

# pyright: reportCallIssue=false
from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

import torch
from torch import Tensor

from sensorssm_kernels.scan_plan import saved_dtype, saved_shape
from sensorssm_kernels.scan_ref import selective_scan_ref
from sensorssm_kernels.scan_rows import count_rows


def needs_states(tensors) -> bool:
    """Return whether a backward may follow, so that the forward must keep chunk states."""
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)


def run_scan(*arguments) -> tuple[Tensor, Tensor]:
    """Return y and the last state, through the operator or, when nobody is watching, past it.

    The dispatcher of a registered operator takes longer than the kernels do at sensor sizes; plain
    eager calls go through an `autograd.Function` with the same two functions.
    """
    if is_watched(arguments[0]):
        return scan_op(*arguments)[:2]
    if arguments[12]:
        return _EagerScan.apply(*arguments)
    return _forward(*arguments)[:2]


def is_watched(tensor: Tensor) -> bool:
    """Return whether tracing, a transform, a dispatch mode or autocast must see the operator."""
    return (
        torch.compiler.is_compiling()
        or type(tensor) not in (Tensor, torch.nn.Parameter)
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch.is_autocast_enabled(tensor.device.type)
    )


@cache
def _implementation(backend: str, is_complex: bool) -> ModuleType:
    kind = "scan_complex" if is_complex else "scan"
    return import_module(f"sensorssm_kernels.{kind}_{backend}")


def _forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens,
    softplus, keep, backend,
):  # fmt: skip
    return _implementation(backend, A.is_complex()).scan_forward(
        u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
    )


@torch.library.custom_op("sensorssm::selective_scan", mutates_args=())
def scan_op(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D_skip: Tensor | None,
    z: Tensor | None, delta_bias: Tensor | None, initial_state: Tensor | None,
    lengths: Tensor | None, cu_seqlens: Tensor | None, softplus: bool, keep: bool, backend: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return y, the last state, and the states a backward needs (none unless `keep`)."""
    return _forward(
        u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens,
        softplus, keep, backend,
    )  # fmt: skip


@scan_op.register_fake
def _(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens,
    softplus, keep, backend,
):  # fmt: skip
    batch, _, dim = u.shape
    dtype = torch.complex64 if A.is_complex() else torch.float32
    rows = count_rows(batch, cu_seqlens)
    state = u.new_empty(rows, dim, B.shape[-1], dtype=dtype)
    return (
        torch.empty_like(u, memory_format=torch.contiguous_format),
        state,
        _saved(u, A, B, cu_seqlens, keep, backend),
    )


@torch.library.custom_op("sensorssm::selective_scan_backward", mutates_args=())
def scan_backward_op(
    grad_y: Tensor, grad_state: Tensor | None, saved: Tensor,
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D_skip: Tensor | None,
    z: Tensor | None, delta_bias: Tensor | None, initial_state: Tensor | None,
    lengths: Tensor | None, cu_seqlens: Tensor | None, softplus: bool, backend: str,
) -> list[Tensor]:  # fmt: skip
    """Return the gradients of u .. initial_state; an empty tensor where there was no argument."""
    grads = _implementation(backend, A.is_complex()).scan_backward(
        grad_y, grad_state, saved, u, delta, A, B, C, D_skip, z, delta_bias, initial_state,
        lengths, cu_seqlens, softplus,
    )  # fmt: skip
    return [u.new_empty(0) if grad is None else grad for grad in grads]


@scan_backward_op.register_fake
def _(grad_y, grad_state, saved, *arguments):
    u = arguments[0]
    return [u.new_empty(0) if x is None else x.new_empty(x.shape) for x in arguments[:9]]


def _keep_for_backward(ctx, inputs, output) -> None:
    tensors, ctx.softplus, ctx.backend = inputs[:11], inputs[11], inputs[13]
    ctx.mark_non_differentiable(output[2])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, output[2])


def _backward(ctx, grad_y, grad_state, _):
    *tensors, saved = ctx.saved_tensors
    if grad_y is None:
        grad_y = torch.zeros_like(tensors[0])
    if torch.is_grad_enabled() or is_watched(grad_y):
        grads = scan_backward_op(
            grad_y.contiguous(), grad_state, saved, *tensors, ctx.softplus, ctx.backend
        )
    else:
        grads = _implementation(ctx.backend, tensors[2].is_complex()).scan_backward(
            grad_y, grad_state, saved, *tensors, ctx.softplus
        )
    given = [None if x is None else g for x, g in zip(tensors[:9], grads, strict=True)]
    return *given, None, None, None, None, None


scan_op.register_autograd(_backward, setup_context=_keep_for_backward)


class _EagerScan(torch.autograd.Function):
    """The operator's forward and backward without its dispatcher."""

    @staticmethod
    def forward(ctx, *arguments):
        outputs = _forward(*arguments)
        ctx.softplus, ctx.backend = arguments[11], arguments[13]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*arguments[:11], outputs[2])
        return outputs[:2]

    @staticmethod
    def backward(ctx, grad_y, grad_state):
        return _backward(ctx, grad_y, grad_state, None)


def _keep_for_second_backward(ctx, inputs, output) -> None:
    ctx.softplus = inputs[14]
    ctx.save_for_backward(inputs[0], inputs[1], *inputs[3:14])


def _second_backward(ctx, grads):
    """Differentiate the gradient: the reference's, built with a graph."""
    grad_y, grad_state, *tensors = ctx.saved_tensors
    with torch.enable_grad():
        leaves: list = [x if x is None else x.detach().requires_grad_() for x in tensors[:9]]
        seeds = [x if x is None else x.detach().requires_grad_() for x in (grad_y, grad_state)]
        y, state = selective_scan_ref(
            *leaves[:8], delta_softplus=ctx.softplus, initial_state=leaves[8],
            lengths=tensors[9], cu_seqlens=tensors[10],
        )  # fmt: skip
        used = [x for x in leaves if x is not None]
        outputs = [(y, seeds[0])] + ([] if seeds[1] is None else [(state, seeds[1])])
        first = torch.autograd.grad(
            [x for x, _ in outputs], used, [x for _, x in outputs],
            create_graph=True, materialize_grads=True,
        )  # fmt: skip
    wanted = [g for x, g in zip(leaves, grads, strict=True) if x is not None]
    pairs = [(f, g) for f, g in zip(first, wanted, strict=True) if g is not None]
    into = [x for x in (*seeds, *leaves) if x is not None]
    second = iter(
        torch.autograd.grad(
            [f for f, _ in pairs], into, [g for _, g in pairs], materialize_grads=True
        )
    )
    result = [None if x is None else next(second) for x in (*seeds, *leaves)]
    return *result[:2], None, *result[2:], None, None, None, None


scan_backward_op.register_autograd(_second_backward, setup_context=_keep_for_second_backward)


def _saved(u, A, B, cu_seqlens, keep: bool, backend: str) -> Tensor:
    """Return an empty tensor shaped as the states that `backend` keeps."""
    shape = saved_shape(backend, u.shape, A, B.shape[-1], cu_seqlens)
    dtype = saved_dtype(backend, u.dtype)
    return u.new_empty(shape if keep else (0, *shape[1:]), dtype=dtype)
