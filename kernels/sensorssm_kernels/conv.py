"""The short causal convolution before a selective scan: depthwise, SiLU, state in and out."""

from __future__ import annotations

from torch import Tensor

from sensorssm_kernels.backends import choose_backend
from sensorssm_kernels.conv_ops import run_conv
from sensorssm_kernels.conv_ref import causal_conv_ref
from sensorssm_kernels.errors import ArgumentError
from sensorssm_kernels.scan_checks import STREAM_DTYPES, check_kind, check_rows, check_shape


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    state: Tensor | None = None,
    *,
    activation: str | None = "silu",
    lengths: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Return ``y[t] = act(bias + sum_w weight[:, w] x[t - W + 1 + w])`` and the last readings.

    Parameters
    ----------
    x : Tensor, shape (B, L, D)
    weight : Tensor, shape (D, W)
        The last tap multiplies the present reading.
    bias : Tensor, shape (D,)
    state : Tensor, shape (rows, W - 1, D)
        The readings before x, oldest first; zeros when left out.
    activation : {"silu", None}
    lengths, cu_seqlens
        Padded or packed rows, as in `selective_scan`.
    backend : {"auto", "triton", "cpu", "reference"}
        "auto" takes the fastest that can run; a name runs or raises.

    Returns
    -------
    y : Tensor, shape (B, L, D), dtype of x
    state : Tensor, shape (rows, W - 1, D), dtype of x

    Raises
    ------
    ArgumentError : an argument does not fit; it names the argument, what was found and wanted.
    BackendError : the backend asked for cannot run this call.
    """
    check_kind("x", x, STREAM_DTYPES, x)
    if x.ndim != 3:
        raise ArgumentError.of("x", f"shape {tuple(x.shape)}", "(B, L, D)")
    dim = x.shape[2]
    check_kind("weight", weight, STREAM_DTYPES, x)
    if weight.ndim != 2 or weight.shape[0] != dim or weight.shape[1] < 1:
        raise ArgumentError.of("weight", f"shape {tuple(weight.shape)}", f"({dim}, W), as x has")
    if bias is not None:
        check_kind("bias", bias, STREAM_DTYPES, x)
        check_shape("bias", bias, (dim,))
    if activation not in ("silu", None):
        raise ArgumentError.of("activation", repr(activation), "'silu' or None")
    rows = check_rows(x, lengths, cu_seqlens)
    if state is not None:
        check_kind("state", state, STREAM_DTYPES, x)
        check_shape("state", state, (rows, weight.shape[1] - 1, dim))
    chosen = choose_backend(backend, x, weight, bias, state)
    if chosen == "reference":
        return causal_conv_ref(
            x, weight, bias, state, activation=activation, lengths=lengths, cu_seqlens=cu_seqlens
        )
    return run_conv(x, weight, bias, state, lengths, cu_seqlens, activation == "silu", chosen)
