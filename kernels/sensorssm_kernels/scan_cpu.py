"""The selective scan on the CPU: what the compiled loops need, and how threads share the rows."""

# pyright: reportCallIssue=false
from __future__ import annotations

from collections.abc import Sequence

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
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    inputs = _inputs(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    state = _pack(initial_state, len(rows.starts), dim, B.shape[-1])
    shape = saved_shape("cpu", u.shape, A, B.shape[-1], cu_seqlens)
    saved = state.new_empty(shape if keep else (0, *shape[1:]))
    y = (torch.empty if lengths is None else torch.zeros)(batch * length, dim)
    outputs = [x.numpy() for x in (y, state, saved)]
    _share_strips(
        lambda row, part, *strips: loops.forward(row, *strips, inputs, *outputs, keep),
        state.shape[:2],
        work=length * state.shape[2],
    )
    return y.view(u.shape).to(u.dtype), _unpack(state, dim, B.shape[-1]), saved


def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    (batch, length, dim), states = u.shape, B.shape[-1]
    tokens = batch * length
    rows = locate_rows(u, CPU_CHUNK, lengths, cu_seqlens)
    inputs = _inputs(rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus)
    carry = _pack(grad_state, len(rows.starts), dim, states)
    count, strips, size, _ = carry.shape
    fresh = torch.zeros if lengths is not None else torch.empty
    parts = _count_parts(count, strips)
    per_channel = [torch.zeros(count, strips * CPU_LANES) for _ in range(3)]
    grads = loops.Grads(
        u=fresh(tokens, dim),
        delta=fresh(tokens, dim),
        z=fresh(0 if z is None else tokens, dim),
        A=torch.zeros_like(carry) if A.ndim == 2 else per_channel[2],
        B=fresh(parts, tokens, size) if B.ndim == 3 else torch.zeros_like(carry),
        C=fresh(parts, tokens, size) if C.ndim == 3 else torch.zeros_like(carry),
        skip=per_channel[0],
        bias=per_channel[1],
        carry=carry,
    )
    arrays = loops.Grads(*(x.numpy() for x in grads))
    given = saved.numpy(), _stream(grad_y).numpy()
    _share_strips(
        lambda row, part, *strips: loops.backward(row, part, *strips, inputs, *given, arrays),
        (count, strips),
        work=2 * length * size,
    )

    def shared(like: Tensor, grad: Tensor) -> Tensor:
        """Add up over rows or parts what all of them share."""
        total = grad.sum(0)
        if grad.ndim == 4:
            total = _unpack(total[None], dim, states)[0]
        return total[..., : like.shape[-1]].reshape(like.shape).to(like.dtype)

    return (
        grads.u.view(u.shape).to(u.dtype),
        grads.delta.view(delta.shape).to(delta.dtype),
        shared(A, grads.A),
        shared(B, grads.B),
        shared(C, grads.C),
        None if D_skip is None else shared(D_skip, grads.skip),
        None if z is None else grads.z.view(z.shape).to(z.dtype),
        None if delta_bias is None else shared(delta_bias, grads.bias),
        None if initial_state is None else _unpack(carry, dim, states).to(initial_state.dtype),
    )


def _inputs(rows: Rows, u, delta, A, B, C, D_skip, z, delta_bias, softplus: bool) -> loops.Inputs:
    """Return what the loops read, as flat float32 arrays."""
    dim, states = u.shape[2], B.shape[-1]
    width = round_up(dim, CPU_LANES)
    rates = A.detach().float() * LOG2E
    tensors = (
        *(rows.starts, rows.lengths, rows.chunk_at),
        *(_stream(u), _stream(delta)),
        _fixed(rates, dim, states) if A.ndim == 2 else _channels(rates, dim, width),
        *(_stream(_pad(x, states)) if x.ndim == 3 else _fixed(x, dim, states) for x in (B, C)),
        _channels(D_skip, dim, width),
        _stream(u if z is None else z),
        _channels(delta_bias, dim, width),
    )
    return loops.Inputs(*(x.numpy() for x in tensors), gated=z is not None, softened=softplus)


def _share_strips(run, sizes: Sequence[int], *, work: int) -> None:
    """Call ``run(row, part, first strip, last strip)`` for every strip of every row.

    A row is cut in parts of its channels only when rows are fewer than threads: each part adds up
    gradients of B and C of its own. `work` is that of one strip, in vectors.
    """
    rows, strips = sizes
    parts = _count_parts(rows, strips)

    def jobs(first: int, last: int) -> None:
        for job in range(first, last):
            row, part = divmod(job, parts)
            run(row, part, strips * part // parts, strips * (part + 1) // parts)

    share(jobs, rows * parts, least=_least_jobs(work * strips // parts))


def _pad(matrix: Tensor, states: int) -> Tensor:
    """Return B or C with its states filled up to whole tiles."""
    more = round_up(states, CPU_BLOCK) - states
    return F.pad(matrix.detach(), (0, more)) if more else matrix


def _stream(x: Tensor) -> Tensor:
    """Return a (B, L, X) tensor as (tokens, X), float32 and contiguous."""
    return x.detach().float().reshape(-1, x.shape[-1]).contiguous()


def _channels(x: Tensor | None, dim: int, width: int) -> Tensor:
    if x is None:
        return torch.zeros(width)
    return F.pad(x.detach().float(), (0, width - dim)).contiguous()


def _pack(state: Tensor | None, rows: int, dim: int, states: int) -> Tensor:
    """Return (rows, D, N) strip by strip: a fresh (rows, strips, N, 16) tensor, zeros around."""
    width, size = round_up(dim, CPU_LANES), round_up(states, CPU_BLOCK)
    packed = torch.zeros(rows, width // CPU_LANES, size, CPU_LANES)
    if state is not None:
        padded = F.pad(state.detach().float(), (0, size - states, 0, width - dim))
        packed.copy_(padded.unflatten(1, packed.shape[1::2]).transpose(2, 3))
    return packed


def _unpack(packed: Tensor, dim: int, states: int) -> Tensor:
    """Return (rows, strips, N, 16) as (rows, D, N)."""
    return packed.transpose(2, 3).flatten(1, 2)[:, :dim, :states].contiguous()


def _fixed(matrix: Tensor, dim: int, states: int) -> Tensor:
    """Return a (D, N) matrix strip by strip, (strips, N, 16)."""
    return _pack(matrix[None], 1, dim, states)[0]


def _least_jobs(work: int) -> int:
    """Return how many jobs make a thread worth its 20 microseconds: about 100,000 vectors."""
    return max(1, 100_000 // max(work, 1))


def _count_parts(rows: int, strips: int) -> int:
    """Return in how many parts of the channels a row is cut, so that few rows fill all cores.

    Each part adds up its own gradients of B and C.
    """
    return max(1, min(strips, torch.get_num_threads() // max(rows, 1)))
