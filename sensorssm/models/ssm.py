"""State space layers: Algorithm 1, fixed in time, real or complex, and Algorithm 2, selected.

All are diagonal, ``h[t] = exp(delta A) h[t-1] + drive[t]`` and ``y[t] = <C, h[t]> + D x[t]``, and
all run on one operator, `sensorssm_kernels.selective_scan`. A row that comes after `elapsed` steps
instead of one has its delta multiplied by `elapsed`.

References
----------
Gu and Dao 2023, arXiv:2312.00752, section 3.2, Algorithms 1 and 2.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from sensorssm.models.init import delta_bias, linear, log_decay, oscillation, uniform
from sensorssm_kernels import selective_scan


class FixedSSM(nn.Module):
    """Algorithm 1: A, B, C and delta are learned, and the same at every step.

    Discretised by an exact zero-order hold: the state is right between steps too, for an input that
    holds its value.
    """

    def __init__(self, dim: int, state_size: int = 16, *, generator: Generator | None = None):
        super().__init__()
        self.A_log = nn.Parameter(log_decay(dim, state_size))
        self.B = nn.Parameter(torch.ones(dim, state_size))
        self.C = nn.Parameter(uniform(dim, state_size, bound=1.0, generator=generator))
        self.delta_bias = nn.Parameter(delta_bias(dim, generator=generator))
        self.D = nn.Parameter(torch.ones(dim))

    def init_state(self, batch: int) -> Tensor:
        """Return the state before the first step, shape (B, D, N)."""
        return self.A_log.new_zeros(batch, *self.A_log.shape)

    def forward(
        self, x: Tensor, state: Tensor, elapsed: Tensor | None = None, gate: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return outputs (B, L, D) and the state after the last step, (B, D, N).

        Parameters
        ----------
        x, gate : Tensor, shape (B, L, D); the output is multiplied by SiLU of the gate
        state : Tensor, shape (B, D, N)
        elapsed : Tensor, shape (B, L), steps since the row before; one each when left out
        """
        A, delta = -torch.exp(self.A_log), F.softplus(self.delta_bias)
        if elapsed is None:
            B = self._held(delta[:, None] * A)
            y, state = _scan_exactly(
                x,
                _every_step(delta, x),
                A,
                B,
                self.C,
                delta_softplus=False,
                initial_state=state,
            )
        else:
            y, state = self._scan_uneven(x, delta * elapsed[..., None], A, state)
        y = y + self.D * x
        return y if gate is None else y * F.silu(gate), state

    def _scan_uneven(
        self, x: Tensor, delta: Tensor, A: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return sums and state where delta (B, L, D) changes, and with it what a hold adds.

        B is then no longer fixed: each of the D N states is a channel of its own to the operator,
        at many times the cost.
        """
        delta = delta[..., None].expand(*delta.shape, A.shape[1])
        ones = x.new_ones(*x.shape[:2], 1)
        states, last = _scan_exactly(
            (self._held(delta * A) * x[..., None]).flatten(2),
            delta.flatten(2),
            A.reshape(-1, 1),
            ones,
            ones,
            delta_softplus=False,
            initial_state=state.flatten(1)[..., None],
        )
        return (states.unflatten(2, A.shape) * self.C).sum(-1), last.view_as(state)

    def _held(self, exponent: Tensor) -> Tensor:
        """Return B (..., D, N) as it is for an input held while the state decays by `exponent`."""
        return torch.expm1(exponent) / exponent * self.B


class ComplexSSM(nn.Module):
    """Algorithm 1 with complex rates (S4D): every pair of states is an oscillation that fades.

    A reading is an impulse: it counts once, however long ago the one before it was, and in
    `elapsed` steps what came before turns and fades as far as in as many single ones. There is no
    B to learn, as a product with C it would be one number. The N states are N / 2 complex numbers,
    real part and imaginary part side by side.

    References
    ----------
    Gu et al. 2022, arXiv:2206.11893 (S4D-Lin).
    """

    def __init__(self, dim: int, state_size: int = 16, *, generator: Generator | None = None):
        super().__init__()
        rate, turn = oscillation(dim, state_size // 2)
        self.A_log, self.A_imag = nn.Parameter(rate), nn.Parameter(turn)
        self.C = nn.Parameter(uniform(dim, state_size // 2, 2, bound=1.0, generator=generator))
        self.delta_bias = nn.Parameter(delta_bias(dim, generator=generator))
        self.D = nn.Parameter(torch.ones(dim))

    def init_state(self, batch: int) -> Tensor:
        """Return the state before the first step, shape (B, D, N)."""
        return self.C.new_zeros(batch, *self.C.shape).flatten(2)

    def forward(
        self, x: Tensor, state: Tensor, elapsed: Tensor | None = None, gate: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return outputs and state; arguments and shapes are those of `FixedSSM.forward`."""
        A, C = torch.complex(-torch.exp(self.A_log), self.A_imag), torch.view_as_complex(self.C)
        delta, u = F.softplus(self.delta_bias), x
        if elapsed is not None:  # the operator multiplies readings by delta; time must not
            delta, u = delta * elapsed[..., None], x / elapsed[..., None]
        y, last = _scan_exactly(
            u,
            _every_step(delta, x),
            A,
            torch.ones_like(C),
            C,
            delta_softplus=False,
            initial_state=torch.view_as_complex(state.unflatten(-1, (-1, 2))),
        )
        y = y + self.D * x
        y = y if gate is None else y * F.silu(gate)
        return y, torch.view_as_real(last).flatten(2)


class SelectiveSSM(nn.Module):
    """Algorithm 2: delta, B and C follow from the input, so a step can be kept or let pass.

    Parameters have the names of Mamba's code (`D` is the skip), so that its checkpoints load.
    """

    def __init__(
        self, dim: int, state_size: int = 16, rank: int = 1, *, generator: Generator | None = None
    ):
        super().__init__()
        self.sizes = [rank, state_size, state_size]
        self.x_proj = linear(dim, sum(self.sizes), bias=False, generator=generator)
        self.dt_proj = linear(rank, dim, generator=generator)
        self.A_log = nn.Parameter(log_decay(dim, state_size))
        self.D = nn.Parameter(torch.ones(dim))
        with torch.no_grad():
            self.dt_proj.bias.copy_(delta_bias(dim, generator=generator))

    def init_state(self, batch: int) -> Tensor:
        """Return the state before the first step, shape (B, D, N)."""
        return self.A_log.new_zeros(batch, *self.A_log.shape)

    def forward(
        self, x: Tensor, state: Tensor, elapsed: Tensor | None = None, gate: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return outputs and state; arguments and shapes are those of `FixedSSM.forward`."""
        step, B, C = self.x_proj(x).split(self.sizes, dim=-1)
        delta, bias = F.linear(step, self.dt_proj.weight), self.dt_proj.bias
        if elapsed is not None:  # time multiplies delta itself, so softplus comes before it
            delta, bias = F.softplus(delta + bias) * elapsed[..., None], None
        A = -torch.exp(self.A_log)
        return selective_scan(
            x,
            delta,
            A,
            B,
            C,
            self.D,
            gate,
            bias,
            delta_softplus=elapsed is None,
            initial_state=state,
        )


def _every_step(delta: Tensor, x: Tensor) -> Tensor:
    """Return step sizes (D,) as the operator is to see them for x (B, L, D).

    On a processor at every step: told that nothing changes the operator could take its FFT, which
    rounds outputs by the readings after them.
    """
    return delta if x.is_cuda else delta.expand_as(x)


def _scan_exactly(*arguments: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    """Scan in float32 under autocast too: rounded to bfloat16, fixed time would run off."""
    with torch.autocast(arguments[0].device.type, enabled=False):
        return selective_scan(*arguments, **options)
