"""What `selective_scan` accepts, said once: every refusal names the argument."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sensorssm_kernels.errors import ArgumentError

STREAM_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
COMPLEX_DTYPES = (torch.complex64, torch.complex128)
INDEX_DTYPES = (torch.int32, torch.int64)


def check_scan(
    u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens, *, look
) -> None:
    """Raise `ArgumentError` for the first argument that does not fit the others.

    Values (NaN in `delta`, lengths out of range) are looked at on the CPU, and on a GPU, where a
    look costs a synchronisation, only when `look` is set.
    """
    check_kind("u", u, STREAM_DTYPES, u)
    if u.ndim != 3:
        raise ArgumentError.of("u", f"shape {tuple(u.shape)}", "(B, L, D)")
    batch, length, dim = u.shape
    check_kind("A", A, (torch.float32, torch.float64, *COMPLEX_DTYPES), u)
    if A.ndim not in (1, 2) or A.shape[0] != dim:
        raise ArgumentError.of("A", f"shape {tuple(A.shape)}", f"({dim}, N) or ({dim},), as u has")
    matrices = (*STREAM_DTYPES, *COMPLEX_DTYPES) if A.is_complex() else STREAM_DTYPES
    for name, matrix in (("B", B), ("C", C)):
        check_kind(name, matrix, matrices, u)
        states = A.shape[1] if A.ndim == 2 else B.shape[-1]
        check_shape(name, matrix, (batch, length, states), (dim, states))
    check_kind("delta", delta, STREAM_DTYPES, u)
    check_shape("delta", delta, (batch, length, dim), (dim,))
    if z is not None:
        check_kind("z", z, STREAM_DTYPES, u)
        check_shape("z", z, (batch, length, dim))
    for name, vector in (("D_skip", D_skip), ("delta_bias", delta_bias)):
        if vector is not None:
            check_kind(name, vector, STREAM_DTYPES, u)
            check_shape(name, vector, (dim,))
    rows = check_rows(u, lengths, cu_seqlens, look=look)
    _check_values(delta, look)
    if initial_state is not None:
        wanted = COMPLEX_DTYPES if A.is_complex() else STREAM_DTYPES
        check_kind("initial_state", initial_state, wanted, u)
        check_shape("initial_state", initial_state, (rows, dim, B.shape[-1]))


def check_rows(
    x: Tensor, lengths: Tensor | None, cu_seqlens: Tensor | None, *, look: bool = False
) -> int:
    """Return the number of rows, after a look at `lengths` or `cu_seqlens`."""
    batch, length = x.shape[:2]
    if lengths is not None and cu_seqlens is not None:
        raise ArgumentError.of("lengths", "cu_seqlens too", "only one of them")
    if lengths is not None:
        check_kind("lengths", lengths, INDEX_DTYPES, x)
        check_shape("lengths", lengths, (batch,))
        if _is_readable(lengths, look) and ((lengths < 0) | (lengths > length)).any():
            raise ArgumentError.of("lengths", lengths.tolist(), f"values from 0 to L = {length}")
    if cu_seqlens is None:
        return batch
    check_kind("cu_seqlens", cu_seqlens, INDEX_DTYPES, x)
    if batch != 1:
        raise ArgumentError.of("cu_seqlens", f"a batch of {batch}", "packed rows, a batch of 1")
    if cu_seqlens.ndim != 1 or len(cu_seqlens) < 1:
        raise ArgumentError.of("cu_seqlens", f"shape {tuple(cu_seqlens.shape)}", "(rows + 1,)")
    if _is_readable(cu_seqlens, look):
        _check_edges(cu_seqlens.tolist(), length)
    return len(cu_seqlens) - 1


def _check_values(delta: Tensor, look: bool) -> None:
    # One NaN makes the sum NaN: one read, no mask as large as delta.
    if _is_readable(delta, look) and delta.numel() and delta.detach().sum().isnan():
        count = int(delta.detach().isnan().sum())
        if count:
            raise ArgumentError.of("delta", f"{count} NaN", "finite step sizes")


def check_kind(name: str, tensor: object, dtypes: Sequence[torch.dtype], like: Tensor) -> None:
    """Raise unless `tensor` is a tensor of one of `dtypes` on the device of `like`."""
    if not isinstance(tensor, Tensor):
        raise ArgumentError.of(name, type(tensor).__name__, "a torch.Tensor")
    if tensor.dtype not in dtypes:
        wanted = " or ".join(str(x).removeprefix("torch.") for x in dtypes)
        raise ArgumentError.of(name, str(tensor.dtype).removeprefix("torch."), wanted)
    if tensor.device != like.device:
        raise ArgumentError.of(name, f"device {tensor.device}", f"{like.device}, where u is")


def check_shape(name: str, tensor: Tensor, *wanted: tuple[int, ...]) -> None:
    """Raise unless `tensor` has one of the wanted shapes."""
    if tuple(tensor.shape) not in wanted:
        names = " or ".join(str(shape) for shape in wanted)
        raise ArgumentError.of(name, f"shape {tuple(tensor.shape)}", names)


def _check_edges(edges: list[int], length: int) -> None:
    if edges[0] != 0 or edges[-1] != length or sorted(edges) != edges:
        raise ArgumentError.of("cu_seqlens", edges, f"ascending from 0 to {length}, u's length")


def _is_readable(tensor: Tensor, look: bool) -> bool:
    """Return whether values can be looked at: not while tracing, vmapping or capturing a graph."""
    if torch.compiler.is_compiling() or type(tensor) not in (Tensor, torch.nn.Parameter):
        return False
    if tensor.is_meta or torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        return False
    if tensor.device.type == "cpu":
        return True
    return look and not torch.cuda.is_current_stream_capturing()
