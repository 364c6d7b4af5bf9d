"""A drop-in for ``mamba_ssm.ops.selective_scan_interface``: other people's Mamba, without CUDA builds.

``from sensorssm_kernels.mamba import selective_scan_fn`` in place of mamba_ssm's: the same arguments,
layout (B, D, L) and results, on a CPU too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sensorssm_kernels.errors import ArgumentError
from sensorssm_kernels.scan import selective_scan


def selective_scan_fn(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Return out, or (out, last_state), as mamba_ssm's function of this name does.

    Parameters
    ----------
    u, delta, z : Tensor, shape (B, D, L)
    A : Tensor, shape (D, N), float32 or complex64
    B, C : Tensor, shape (D, N), (B, N, L) or (B, G, N, L): G groups of channels share one.
        With a complex `A`, (D, N) is complex and (B, [G,] N, 2 L) holds real and imaginary parts.
    D, delta_bias : Tensor, shape (D,)

    Returns
    -------
    out : Tensor, shape (B, D, L); last_state : Tensor, shape (B, D, N)

    References
    ----------
    state-spaces/mamba, mamba_ssm/ops/selective_scan_interface.py.
    """
    groups = max(_count_groups("B", B, u), _count_groups("C", C, u))
    size = u.shape[1] // groups
    outputs, states = [], []
    for group in range(groups):
        part = slice(group * size, (group + 1) * size)
        y, state = selective_scan(
            u[:, part].mT,
            delta[:, part].mT,
            A[part],
            _matrix(B, group, part, A),
            _matrix(C, group, part, A),
            None if D is None else D[part],
            None if z is None else z[:, part].mT,
            None if delta_bias is None else delta_bias[part],
            delta_softplus=delta_softplus,
        )
        outputs.append(y.mT)
        states.append(state)
    out = torch.cat(outputs, dim=1) if groups > 1 else outputs[0]
    last = torch.cat(states, dim=1) if groups > 1 else states[0]
    return (out, last) if return_last_state else out


def _count_groups(name: str, matrix: Tensor, u: Tensor) -> int:
    groups = matrix.shape[1] if matrix.ndim == 4 else 1
    if u.ndim != 3 or u.shape[1] % groups:
        raise ArgumentError.of(name, f"{groups} groups", f"a divisor of u's {u.shape[1]} channels")
    return groups


def _matrix(matrix: Tensor, group: int, channels: slice, A: Tensor) -> Tensor:
    """Return B or C of one group as (B, L, N), or (D, N) when fixed in time."""
    if matrix.ndim == 2:
        return matrix[channels]
    if matrix.ndim == 4:
        matrix = matrix[:, min(group, matrix.shape[1] - 1)]
    if A.is_complex():
        matrix = torch.view_as_complex(matrix.float().unflatten(-1, (-1, 2)).contiguous())
    return matrix.mT
