"""The causal convolution on the CPU: what the compiled loops read and write."""

# pyright: reportCallIssue=false
from __future__ import annotations

import torch
from torch.nn import functional as F

from sensorssm_kernels import conv_cpu_loops as loops
from sensorssm_kernels.cpu_layout import share_strips, stream
from sensorssm_kernels.scan_plan import CPU_CHUNK, CPU_LANES, round_up
from sensorssm_kernels.scan_rows import Rows, locate_rows


def conv_forward(x, weight, bias, state, lengths, cu_seqlens, silu: bool):
    """Return y and the readings that the next context begins with."""
    rows = locate_rows(x, CPU_CHUNK, lengths, cu_seqlens)
    inputs = _inputs(rows, x, weight, bias, state, silu)
    y = torch.empty(x.shape) if lengths is None else torch.zeros(x.shape)
    last = torch.empty(len(rows.starts), weight.shape[1] - 1, x.shape[2])
    outputs = y.view(-1, x.shape[2]).numpy(), last.numpy()
    share_strips(
        lambda row, part, *strips: loops.forward(row, *strips, inputs, *outputs),
        (len(rows.starts), inputs.weight.shape[1] // CPU_LANES),
        work=x.shape[1] * weight.shape[1],
    )
    return y.to(x.dtype), last.to(x.dtype)


def conv_backward(grad_y, grad_state, x, weight, bias, state, lengths, cu_seqlens, silu: bool):
    """Return the gradients of x, weight, bias and state."""
    rows, dim, taps = locate_rows(x, CPU_CHUNK, lengths, cu_seqlens), x.shape[2], weight.shape[1]
    count, width = len(rows.starts), round_up(dim, CPU_LANES)
    inputs = _inputs(rows, x, weight, bias, state, silu)
    grad_x = torch.empty(x.shape) if lengths is None else torch.zeros(x.shape)
    grad_first = torch.empty(count, taps - 1, dim)
    grad_weight, grad_bias = torch.zeros(count, taps, width), torch.zeros(count, width)
    grad_last = torch.zeros(grad_first.shape) if grad_state is None else grad_state.float()
    given = stream(grad_y).numpy(), grad_last.contiguous().numpy()
    outputs = [g.numpy() for g in (grad_x.view(-1, dim), grad_first, grad_weight, grad_bias)]
    share_strips(
        lambda row, part, *strips: loops.backward(row, *strips, inputs, *given, *outputs),
        (count, width // CPU_LANES),
        work=3 * x.shape[1] * taps,
    )
    return (
        grad_x.to(x.dtype),
        grad_weight.sum(0)[:, :dim].t().contiguous().to(weight.dtype),
        None if bias is None else grad_bias.sum(0)[:dim].to(bias.dtype),
        None if state is None else grad_first.to(state.dtype),
    )


def _inputs(rows: Rows, x, weight, bias, state, silu: bool) -> loops.Inputs:
    """Return what the loops read, as float32 arrays; taps and bias padded to whole strips."""
    (dim, taps), count = weight.shape, len(rows.starts)
    more = round_up(dim, CPU_LANES) - dim
    offset = torch.zeros(dim) if bias is None else bias.detach().float()
    first = torch.zeros(count, taps - 1, dim) if state is None else state.detach()
    tensors = (
        rows.starts,
        rows.lengths,
        stream(x),
        F.pad(weight.detach().float().t(), (0, more)).contiguous(),
        F.pad(offset, (0, more)).contiguous(),
        first.to(x.dtype).float().contiguous(),
    )
    return loops.Inputs(*(tensor.numpy() for tensor in tensors), activated=silu)
