"""The selective scan on the CPU: what the compiled loops need, and how threads share the rows."""

# pyright: reportCallIssue=false
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sensorssm_kernels import scan_cpu_loops as loops
from sensorssm_kernels.scan_plan import CPU_BLOCK, CPU_CHUNK, CPU_LANES, round_up, saved_shape
from sensorssm_kernels.scan_rows import Rows, locate_rows
from sensorssm_kernels.threads import share

LOG2E = 1.4426950408889634


def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    batch, length, dim = u.shape
    states = round_up(B.shape[2], CPU_BLOCK)
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    state = _pad_state(initial_state, len(rows.starts), states, round_up(dim, CPU_LANES))
    shape = saved_shape("cpu", u.shape, A, B.shape[2], cu_seqlens)
    saved = state.new_empty(shape if keep else (0, *shape[1:]))
    y = (torch.empty if lengths is None else torch.zeros)(batch * length, dim)
    arrays = _arrays(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    outputs = [x.numpy() for x in (y, state, saved)]
    strips = state.shape[2] // CPU_LANES
    share(
        lambda first, last: loops.forward(first, last, *arrays, *outputs, keep),
        len(rows.starts) * strips,
        least=_least_jobs(length * states),
    )
    return y.view(u.shape).to(u.dtype), _crop_state(state, B.shape[2], dim), saved


def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    batch, length, dim = u.shape
    tokens, states, width = batch * length, saved.shape[1], saved.shape[2]
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    count, strips = len(rows.starts), width // CPU_LANES
    parts = _count_parts(count, strips)
    carry = _pad_state(grad_state, count, states, width)
    fresh = torch.zeros if lengths is not None else torch.empty
    grad_u, grad_delta, grad_z = (fresh(tokens, dim) for _ in range(3))
    grad_A = torch.zeros(count, states, width) if A.ndim == 2 else torch.zeros(count, width)
    grad_B, grad_C = (fresh(parts, tokens, states) for _ in range(2))
    grad_skip, grad_bias = (torch.zeros(count, width) for _ in range(2))
    *arrays, softened = _arrays(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    inputs = [*arrays, softened, saved.numpy(), _stream(grad_y).numpy()]
    grads = (grad_u, grad_delta, grad_z, grad_A, grad_B, grad_C, grad_skip, grad_bias, carry)
    outputs = [x.numpy() for x in grads]

    def work(first: int, last: int) -> None:
        for job in range(first, last):
            row, part = divmod(job, parts)
            edges = strips * part // parts, strips * (part + 1) // parts
            loops.backward(row, row + 1, part, *edges, *inputs, *outputs)

    share(work, count * parts, least=_least_jobs(2 * length * states * strips))
    total_A = grad_A.sum(0)[..., :dim]
    return (
        grad_u.view(u.shape).to(u.dtype),
        grad_delta.view(delta.shape).to(delta.dtype),
        (total_A[: A.shape[1]].t().contiguous() if A.ndim == 2 else total_A).to(A.dtype),
        grad_B.sum(0)[:, : B.shape[2]].reshape(B.shape).to(B.dtype),
        grad_C.sum(0)[:, : C.shape[2]].reshape(C.shape).to(C.dtype),
        None if D_skip is None else grad_skip.sum(0)[:dim].to(D_skip.dtype),
        None if z is None else grad_z.view(z.shape).to(z.dtype),
        None if delta_bias is None else grad_bias.sum(0)[:dim].to(delta_bias.dtype),
        None if initial_state is None
        else _crop_state(carry, B.shape[2], dim).to(initial_state.dtype),
    )  # fmt: skip


def _arrays(rows: Rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus: bool) -> tuple:
    """Return the arguments the loops share, as flat float32 arrays."""
    dim, states = u.shape[2], round_up(B.shape[2], CPU_BLOCK)
    width = round_up(dim, CPU_LANES)
    rates = (A.detach().float() * LOG2E).t() if A.ndim == 2 else A.detach().float()[None] * LOG2E
    rates = F.pad(rates, (0, width - dim, 0, states - rates.shape[0] if A.ndim == 2 else 0))
    rates = rates.contiguous() if A.ndim == 2 else rates[0].contiguous()
    inner = (0, states - B.shape[2])
    tensors = (
        _stream(u),
        _stream(delta),
        rates,
        _stream(F.pad(B.detach(), inner)),
        _stream(F.pad(C.detach(), inner)),
        _channels(D_skip, dim, width),
        _stream(u if z is None else z),
        _channels(delta_bias, dim, width),
    )
    places = (rows.starts, rows.lengths, rows.chunk_at)
    return *(x.numpy() for x in (*places, *tensors)), z is not None, softplus


def _stream(x: Tensor) -> Tensor:
    """Return a (B, L, X) tensor as (tokens, X), float32 and contiguous."""
    return x.detach().float().reshape(-1, x.shape[-1]).contiguous()


def _channels(x: Tensor | None, dim: int, width: int) -> Tensor:
    if x is None:
        return torch.zeros(width)
    return F.pad(x.detach().float(), (0, width - dim)).contiguous()


def _pad_state(state: Tensor | None, rows: int, states: int, width: int) -> Tensor:
    """Return (rows, D, N) as a fresh (rows, states, width) tensor, states before channels."""
    padded = torch.zeros(rows, states, width)
    if state is not None:
        padded[:, : state.shape[2], : state.shape[1]] = state.detach().transpose(1, 2)
    return padded


def _crop_state(state: Tensor, states: int, dim: int) -> Tensor:
    return state[:, :states, :dim].transpose(1, 2).contiguous()


def _least_jobs(work: int) -> int:
    """Return how many jobs make a thread worth its 20 microseconds: about 100,000 vectors."""
    return max(1, 100_000 // max(work, 1))


def _count_parts(rows: int, strips: int) -> int:
    """Return in how many parts of the channels a row is cut, so that few rows fill all cores.

    Each part adds up its own gradients of B and C.
    """
    return max(1, min(strips, torch.get_num_threads() // max(rows, 1)))
