"""The selective scan: one function, one registered operator, three implementations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sensorssm_kernels import scan_rules  # noqa: F401  registers vmap and autocast
from sensorssm_kernels.backends import choose_backend
from sensorssm_kernels.scan_checks import check_scan
from sensorssm_kernels.scan_fixed import fixed_scan
from sensorssm_kernels.scan_ops import needs_states, run_scan
from sensorssm_kernels.scan_ref import selective_scan_ref

# Fixed parameters: from here on a convolution by FFT beats a loop, but not the compiled scans, which
# train 3 times as fast on a CPU and 4 to 6 times on an H100, at any length. Complex rates go by FFT
# there too: powers of a slow rotation lose fewer digits (5e-7 against 5e-6 in the last state after
# 200 steps).
_FFT_LENGTH = 32


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D_skip: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    *,
    delta_softplus: bool = True,
    initial_state: Tensor | None = None,
    lengths: Tensor | None = None,
    cu_seqlens: Tensor | None = None,
    backend: str = "auto",
    check_values: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the output and the last state of a diagonal selective state space model.

    ::

        delta[t] = softplus(delta[t] + delta_bias)
        h[t] = exp(delta[t] A) h[t-1] + delta[t] B[t] u[t]
        y[t] = (sum_n C[t, n] h[t, n] + D_skip u[t]) silu(z[t])

    With `delta` (D,) and `B`, `C` (D, N) nothing changes in time: where rates are complex or no
    compiled scan runs, a convolution by FFT does. Differentiable in every tensor, the initial and the last
    state included. The time between readings enters through `delta`: with `delta_softplus=False`,
    pass softplus(raw) * elapsed; a step with delta 0 leaves the state as it was.

    Parameters
    ----------
    u, delta, z : Tensor, shape (B, L, D)
        Float32, bfloat16 or float16; `delta` before bias and softplus, no unit. `delta` may be
        (D,): the same step size always.
    A : Tensor, shape (D, N) or (D,), float32 with negative values, or (D, N) complex64
        A rate per state, one rate per channel (Mamba-2), or conjugate pairs, of which one is
        stored and the sum over n is twice its real part (S4D).
    B, C : Tensor, shape (B, L, N), or (D, N): fixed in time
    D_skip, delta_bias : Tensor, shape (D,)
    delta_softplus : bool
    initial_state : Tensor, shape (rows, D, N)
        Float32 (complex64 with a complex A); zeros when left out. rows is B, or the number of
        packed rows.
    lengths : int Tensor, shape (B,)
        Readings of each row, the rest is padding: there y is 0 and the state stands still.
    cu_seqlens : int Tensor, shape (rows + 1,)
        Edges of rows packed into one (B = 1); every row starts from its own initial state.
    backend : {"auto", "triton", "cpu", "reference"}
        "auto" takes the fastest that can run and logs once which; a name runs or raises.
    check_values : bool
        Look for NaN in `delta` and bad lengths on a GPU too, where that costs a synchronisation.

    Returns
    -------
    y : Tensor, shape (B, L, D), dtype of u
    state : Tensor, shape (rows, D, N), float32 or complex64

    Raises
    ------
    ArgumentError : an argument does not fit; it names the argument, what was found and wanted.
    BackendError : the backend asked for cannot run this call.

    References
    ----------
    Gu and Dao 2023, arXiv:2312.00752.
    """
    check_scan(
        u, delta, A, B, C, D_skip, z, delta_bias, initial_state, lengths, cu_seqlens,
        look=check_values,
    )  # fmt: skip
    chosen = choose_backend(backend, u, delta, A, B, C, D_skip, z, delta_bias, initial_state)
    fixed = delta.ndim == 1 and B.ndim == C.ndim == 2
    if delta.ndim == 1:  # one step size for all steps: soften it once
        delta, delta_bias = _soften(delta, delta_bias, delta_softplus), None
        delta_softplus = False
    by_fft = fixed and (chosen == "reference" or A.is_complex()) and u.shape[1] >= _FFT_LENGTH
    if by_fft and lengths is None and cu_seqlens is None:
        return fixed_scan(u, delta, A, B, C, D_skip, z, initial_state)
    tensors = (u, delta, A, B, C, D_skip, z, delta_bias, initial_state)
    if chosen == "reference":
        return selective_scan_ref(
            *tensors[:8],
            delta_softplus=delta_softplus,
            initial_state=initial_state,
            lengths=lengths,
            cu_seqlens=cu_seqlens,
        )
    if A.is_complex() and A.ndim == 1:
        A = A[:, None].expand(-1, B.shape[-1])
    elif not A.is_complex() and A.ndim == 2 and A.shape[1] == 1:
        A = A[:, 0]  # one state: its rate is its channel's
    return run_scan(
        u,
        delta.expand(u.shape) if delta.ndim == 1 else delta,
        A,
        *tensors[3:],
        lengths,
        cu_seqlens,
        delta_softplus,
        needs_states(tensors),
        chosen,
    )


def _soften(delta: Tensor, bias: Tensor | None, softplus: bool) -> Tensor:
    """Return the step sizes that do not change in time, at least in float32."""
    exact = delta.to(torch.promote_types(delta.dtype, torch.float32))
    exact = exact if bias is None else exact + bias
    return F.softplus(exact, threshold=30.0) if softplus else exact
