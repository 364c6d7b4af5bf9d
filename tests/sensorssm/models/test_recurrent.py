"""The LSTM peer: its cell, by definition."""

from __future__ import annotations

import torch

from sensorssm.models import LSTMBlock


def test_the_cell_is_the_published_one() -> None:
    """Gates and cell as in the literature, written out, plus the residual."""
    block = LSTMBlock(6, generator=torch.Generator().manual_seed(0))
    x = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(1))
    y, state = block(x, block.init_state(2))

    cell = block.cell
    h, c, rows = torch.zeros(2, 6), torch.zeros(2, 6), []
    for u in block.norm(x).unbind(1):
        gates = u @ cell.weight_ih_l0.T + cell.bias_ih_l0 + h @ cell.weight_hh_l0.T
        i, f, g, o = (gates + cell.bias_hh_l0).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        rows.append(h)
    torch.testing.assert_close(y, x + torch.stack(rows, 1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state["cell"], c, rtol=1e-5, atol=1e-5)
