"""One reading through the selective scan: the online form of the same recurrence."""

# pyright: reportCallIssue=false
from __future__ import annotations

from typing import Any

from torch import Tensor

from sensorssm_kernels.backends import choose_backend
from sensorssm_kernels.scan import selective_scan
from sensorssm_kernels.scan_checks import check_scan
from sensorssm_kernels.step_ops import step_op, step_ref


def selective_step(
    state: Tensor,
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
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Return the output of one reading and the state after it.

    The same arithmetic as `selective_scan` over one step. `state` is left as it was: the caller
    keeps the new one.

    Parameters
    ----------
    state : Tensor, shape (B, D, N), float32, or complex64 with a complex A
    u, delta, z : Tensor, shape (B, D)
    A : Tensor, shape (D, N) or (D,)
    B, C : Tensor, shape (B, N)
    D_skip, delta_bias : Tensor, shape (D,)

    Returns
    -------
    y : Tensor, shape (B, D), dtype of u
    state : Tensor, shape (B, D, N)
    """
    given = (state, u, delta, A, B, C, D_skip, z, delta_bias)
    check_scan(
        *(_as_context(name, x) for name, x in zip(_READINGS, given[1:], strict=True)),
        state, None, None, look=False,
    )  # fmt: skip
    chosen = choose_backend(backend, *given)
    if chosen == "triton":
        return step_op(*given, delta_softplus)
    if chosen == "cpu":
        y, new = selective_scan(
            *(_as_context(name, x) for name, x in zip(_READINGS, given[1:], strict=True)),
            delta_softplus=delta_softplus, initial_state=state, backend=backend,
        )  # fmt: skip
        return y[:, 0], new
    return step_ref(*given, softplus=delta_softplus)


_READINGS = ("u", "delta", "A", "B", "C", "D_skip", "z", "delta_bias")


def _as_context(name: str, tensor: Tensor | None) -> Any:
    """Return a reading as a context of one step; parameters as they are."""
    is_reading = name in ("u", "delta", "B", "C", "z")
    return tensor[:, None] if is_reading and isinstance(tensor, Tensor) else tensor
