"""The single step as an operator of torch; its gradient is that of a scan over one step."""

# pyright: reportCallIssue=false
from __future__ import annotations

import torch
from torch import Tensor

from sensorssm_kernels.scan_ref import selective_scan_ref


@torch.library.custom_op("sensorssm::selective_step", mutates_args=())
def step_op(
    state: Tensor, u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor,
    D_skip: Tensor | None, z: Tensor | None, delta_bias: Tensor | None, softplus: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return y and the new state, from the Triton kernel."""
    from sensorssm_kernels.step_triton import step  # Triton is optional

    tensors = (state, u, delta, A, B, C, D_skip, z, delta_bias)
    return step(*(None if x is None else x.contiguous() for x in tensors), softplus)


@step_op.register_fake
def _(state, u, delta, A, B, C, D_skip, z, delta_bias, softplus):
    return u.new_empty(u.shape), state.new_empty(state.shape, dtype=torch.float32)


def _keep(ctx, inputs, output) -> None:
    ctx.softplus = inputs[9]
    ctx.save_for_backward(*inputs[:9])


def _backward(ctx, grad_y, grad_state):
    """Differentiate the definition over one step: a step is short, and rarely trained through."""
    with torch.enable_grad():
        leaves = [None if x is None else x.detach().requires_grad_() for x in ctx.saved_tensors]
        y, new = step_ref(*leaves, softplus=ctx.softplus)
    given = [x for x in leaves if x is not None]
    grads = iter(torch.autograd.grad((y, new), given, (grad_y, grad_state), materialize_grads=True))
    return *(None if x is None else next(grads) for x in leaves), None


step_op.register_autograd(_backward, setup_context=_keep)


def step_ref(state, u, delta, A, B, C, D_skip, z, delta_bias, *, softplus: bool):
    """Return y and the new state from the definition: plain torch operations, exportable."""
    y, new = selective_scan_ref(
        u[:, None], delta[:, None], A, B[:, None], C[:, None], D_skip,
        None if z is None else z[:, None], delta_bias,
        delta_softplus=softplus, initial_state=state,
    )  # fmt: skip
    return y[:, 0], new
