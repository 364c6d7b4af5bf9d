"""One reading through the selective scan: the online form of the same recurrence."""

from __future__ import annotations

from torch import Tensor

from sensorssm_kernels.scan import selective_scan


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
    y, state = selective_scan(
        u[:, None], delta[:, None], A, B[:, None], C[:, None], D_skip,
        None if z is None else z[:, None], delta_bias,
        delta_softplus=delta_softplus, initial_state=state, backend=backend,
    )  # fmt: skip
    return y[:, 0], state
