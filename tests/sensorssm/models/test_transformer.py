"""The attention peer: its window, by definition."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from sensorssm.models import AttentionBlock

CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of a few dozen terms


def test_attention_is_the_weighted_mean_of_the_window() -> None:
    """Every step mixes the values of its last `context` steps, older ones with less weight."""
    block = AttentionBlock(8, heads=2, context=5, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(1))
    elapsed = 0.5 + torch.rand(1, 12, generator=torch.Generator().manual_seed(2))
    y, _ = block(x, block.init_state(1), elapsed)

    query, key, value = block.to_qkv(block.norm(x))[0].chunk(3, dim=-1)
    clock, rows = elapsed[0].cumsum(0), []
    for t in range(12):
        seen = slice(max(0, t - 4), t + 1)
        heads = []
        for h, at in enumerate((slice(0, 4), slice(4, 8))):
            score = key[seen, at] @ query[t, at] / math.sqrt(4)
            score = score - 2.0 ** (-8 * (h + 1) / 2) * (clock[t] - clock[seen])
            heads.append(score.softmax(0) @ value[seen, at])
        mixed = x[0, t] + block.from_heads(torch.cat(heads))
        rows.append(mixed + block.narrow(F.gelu(block.widen(block.norm_mlp(mixed)))))
    torch.testing.assert_close(y[0], torch.stack(rows), **CLOSE)


def test_what_left_the_window_is_forgotten() -> None:
    """A step depends on the window alone, where a recurrence would still remember."""
    block = AttentionBlock(8, heads=2, context=5, generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(1))
    other = x.clone()
    other[:, 0] += 10
    y, y_other = (block(rows, block.init_state(1))[0] for rows in (x, other))
    torch.testing.assert_close(y[:, 5:], y_other[:, 5:], **CLOSE)
    assert (y[:, 4] - y_other[:, 4]).abs().max() > 1e-3
