"""The LSTM peer, behind the interface of the blocks."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from sensorssm.models.block import State
from sensorssm.models.init import redraw


class LSTMBlock(nn.Module):
    """``x + LSTM(norm(x))``. It knows steps, not time: `elapsed` makes no difference.

    References
    ----------
    Hochreiter and Schmidhuber 1997, Neural Computation 9(8).
    """

    def __init__(self, dim: int, *, generator: Generator | None = None):
        super().__init__()
        self.dim = dim
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self.cell = nn.LSTM(dim, dim, batch_first=True, device="meta").to_empty(device="cpu")
        redraw(self.cell, bound=dim**-0.5, generator=generator)

    def init_state(self, batch: int) -> State:
        """Return the state before the first step: hidden and cell, (B, D) each."""
        zeros = self.norm.weight.new_zeros(batch, self.dim)
        return {"hidden": zeros, "cell": zeros.clone()}

    def forward(
        self, x: Tensor, state: State, elapsed: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return outputs (B, L, D) and the new state for inputs (B, L, D)."""
        before = (state["hidden"][None], state["cell"][None])
        y, (hidden, cell) = self.cell(self.norm(x), before)
        return x + y, {"hidden": hidden[0], "cell": cell[0]}
