"""The selective scan with complex rates (S4D) in Triton, on the host: its memory and its launches."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportIndexIssue=false
from __future__ import annotations

import torch
from torch import Tensor

from sensorssm_kernels.launch_triton import on_own_device
from sensorssm_kernels.scan_complex_backward_triton import scan_complex_backward_kernel
from sensorssm_kernels.scan_complex_forward_triton import scan_complex_forward_kernel
from sensorssm_kernels.scan_plan import count_blocks, saved_dtype, saved_shape, triton_tile
from sensorssm_kernels.scan_rows import count_rows, locate_rows
from sensorssm_kernels.scan_sums_triton import sum_parts_kernel


@on_own_device
def scan_forward(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus, keep
):
    """Return y, the last state and the chunk states that the backward starts from."""
    call = _Call(u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus)
    fresh = torch.empty_like if lengths is None else torch.zeros_like
    y = fresh(call.inputs[0])
    shape = saved_shape("triton", u.shape, A, call.states, cu_seqlens)
    saved = u.new_empty(shape if keep else (0, *shape[1:]), dtype=saved_dtype("triton", u.dtype))
    state = call.new_state()
    if state.numel():
        scan_complex_forward_kernel[call.grid](
            *call.inputs, state if initial_state is None else _pairs(initial_state), y, state,
            saved, *call.sizes, HAS_FIRST=initial_state is not None, KEEP=keep, **call.flags,
        )  # fmt: skip
    return y, torch.view_as_complex(state), saved


@on_own_device
def scan_backward(
    grad_y, grad_state, saved,
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, softplus,
):  # fmt: skip
    """Return the gradients of u, delta, A, B, C, D_skip, z, delta_bias and the initial state."""
    call = _Call(u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus)
    fresh = torch.empty_like if lengths is None else torch.zeros_like
    streams = call.inputs[0], call.inputs[1], call.inputs[6]
    grad_u, grad_delta, grad_z = (fresh(x) for x in streams)
    grad_first = call.new_state()
    parts, rows = call.new_parts(zeros=lengths is not None)
    if grad_first.numel():
        scan_complex_backward_kernel[call.grid](
            *call.inputs, saved, grad_y.contiguous(),
            grad_first if grad_state is None else _pairs(grad_state),
            grad_u, grad_delta, grad_z, grad_first, parts, rows, *call.sizes,
            HAS_LAST=grad_state is not None, **call.flags,
        )  # fmt: skip
    grad_A, grad_B, grad_C, grad_skip, grad_bias = call.sum_up(parts, rows)
    return (
        grad_u, grad_delta, torch.view_as_complex(grad_A),
        _from_planes(grad_B, B), _from_planes(grad_C, C),
        None if D_skip is None else grad_skip.to(D_skip.dtype),
        None if z is None else grad_z,
        None if delta_bias is None else grad_bias.to(delta_bias.dtype),
        None if initial_state is None else torch.view_as_complex(grad_first),
    )  # fmt: skip


class _Call:
    """The tensors of one call as the kernels read them, their constants and their grid."""

    def __init__(
        self, u, delta, A, B, C, D_skip, z, delta_bias, lengths, cu_seqlens, softplus
    ) -> None:
        batch, length, dim = u.shape
        self.dim, self.states = dim, B.shape[-1]
        self.count, self.sizes = count_rows(batch, cu_seqlens), (length, batch * length)
        tile = triton_tile(self.states, pairs=True)
        padded = 1 << (self.states - 1).bit_length()
        ragged = lengths is not None or cu_seqlens is not None
        self.fixed = B.ndim == 2, C.ndim == 2
        self.flags = {
            "HAS_SKIP": D_skip is not None, "HAS_Z": z is not None,
            "HAS_BIAS": delta_bias is not None, "SOFTPLUS": softplus, "RAGGED": ragged,
            "FIXED_B": self.fixed[0], "FIXED_C": self.fixed[1], "DIM": dim, "STATES": self.states,
            "N": padded, "NL": min(padded, 32 // tile["BD"]), **tile, "STAGES": 3, "num_warps": 1,
        }  # fmt: skip
        self.grid = count_blocks(dim, tile["BD"]), self.count
        u, rates = u.contiguous(), _pairs(A)
        others = [u if x is None else x.contiguous() for x in (D_skip, z, delta_bias)]
        places = (rates,) * 3
        if ragged:
            rows = locate_rows(u, tile["T"], lengths, cu_seqlens)
            places = (x.contiguous() for x in (rows.starts, rows.lengths, rows.chunk_at))
        self.inputs = (u, delta.contiguous(), rates, _planes(B), _planes(C), *others, *places)

    def new_state(self) -> Tensor:
        """Return fresh memory for a state per row, in pairs."""
        return self.inputs[2].new_empty(self.count, self.dim, self.states, 2)

    def new_parts(self, *, zeros: bool) -> tuple[Tensor, Tensor]:
        """Return memory for what each program adds to the gradients that channels or rows share."""
        size = 2 * self.dim * self.states
        rates = self.inputs[2]
        parts = rates.new_empty(2, self.grid[0], self._matrix)
        rows = rates.new_empty(self.count, size + 2 * self.dim + size * sum(self.fixed))
        return parts.zero_() if zeros else parts, rows

    def sum_up(self, parts: Tensor, rows: Tensor) -> list[Tensor]:
        """Return the gradients of A, in pairs, of B and C, in planes, of D_skip and of bias."""
        _, _, rates, B, C = self.inputs[:5]
        grads = [torch.empty_like(x) for x in (rates, B, C)]
        grads += [rates.new_empty(self.dim) for _ in range(2)]
        size, (grad_A, grad_B, grad_C, grad_skip, grad_bias) = rates.numel(), grads
        jobs = count_blocks(rows.shape[1], 16) + count_blocks(self._matrix, 256)
        sum_parts_kernel[jobs, 1](
            parts, rows, grad_B, grad_C, grad_A, grad_skip, grad_bias,
            self._matrix, self.grid[0], self.count, HAS_SKIP=True, HAS_BIAS=True, SIZE_A=size,
            DIM=self.dim, SIZE_B=size * self.fixed[0], SIZE_C=size * self.fixed[1],
            BLOCK=256, PARTS=8, BLOCK_A=16, PARTS_A=64, num_warps=4,
        )  # fmt: skip
        return grads

    @property
    def _matrix(self) -> int:
        """The size of a B or C that changes in time, both planes; 0 if none of them does."""
        return 0 if all(self.fixed) else 2 * self.sizes[1] * self.states


def _pairs(x: Tensor) -> Tensor:
    """Return a tensor as complex64 with its parts side by side in a last axis."""
    return torch.view_as_real(x.to(torch.complex64).resolve_conj().contiguous())


def _planes(x: Tensor) -> Tensor:
    """Return the real and the imaginary parts of a tensor as two float32 planes, a first axis."""
    return torch.view_as_real(x.to(torch.complex64).resolve_conj()).movedim(-1, 0).contiguous()


def _from_planes(grad: Tensor, like: Tensor) -> Tensor:
    """Return a gradient in planes as a tensor like the argument it belongs to."""
    return (torch.complex(*grad) if like.is_complex() else grad[0].clone()).to(like.dtype)
