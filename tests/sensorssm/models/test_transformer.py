"""The attention peer: its window, by definition."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from sensorssm.models import AttentionBlock

CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # float32, sums of a few dozen terms


@pytest.mark.parametrize(("context", "patch"), [(5, 1), (6, 2), (11, 5), (3, 3)])
def test_attention_is_the_weighted_mean_of_the_window(context: int, patch: int) -> None:
    """Every step mixes the values a patch apart in its window, older ones with less weight."""
    generator = torch.Generator().manual_seed(0)
    block = AttentionBlock(8, heads=2, context=context, patch=patch, generator=generator)
    x = torch.randn(1, 12, 8, generator=torch.Generator().manual_seed(1))
    elapsed = 0.5 + torch.rand(1, 12, generator=torch.Generator().manual_seed(2))
    y, _ = block(x, block.init_state(1), elapsed)

    query, key, value = block.to_qkv(block.norm(x))[0].chunk(3, dim=-1)
    clock, rows = elapsed[0].cumsum(0), []
    for t in range(12):
        seen = [at for at in range(t, t - context + patch - 1, -patch) if at >= 0]
        heads = []
        for h, at in enumerate((slice(0, 4), slice(4, 8))):
            score = key[seen, at] @ query[t, at] / math.sqrt(4)
            score = score - 2.0 ** (-8 * (h + 1) / 2) * (clock[t] - clock[seen]) / patch
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


@pytest.mark.parametrize("size", [1, 3, 4, 17])
@pytest.mark.parametrize("patch", [1, 4])
def test_a_stream_need_not_wait_for_a_patch_to_fill(patch: int, size: int) -> None:
    """Chunks shorter and longer than a patch give the outputs and the state of one pass."""
    generator = torch.Generator().manual_seed(0)
    block = AttentionBlock(8, heads=2, context=13, patch=patch, generator=generator)
    x = torch.randn(2, 41, 8, generator=generator)
    elapsed = 0.5 + torch.rand(2, 41, generator=generator)
    whole, last = block(x, block.init_state(2), elapsed)

    state, parts = block.init_state(2), []
    for rows, times in zip(x.split(size, 1), elapsed.split(size, 1), strict=True):
        y, state = block(rows, state, times)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, **CLOSE)
    for name, part in last.items():
        torch.testing.assert_close(state[name], part, **CLOSE)


def test_a_patched_step_does_not_look_ahead_or_between() -> None:
    """Only the steps a patch apart, and none after, reach an output; its own phase does."""
    generator = torch.Generator().manual_seed(0)
    block = AttentionBlock(8, heads=2, context=12, patch=4, generator=generator)
    x = torch.randn(1, 30, 8, generator=generator)
    other = x.clone()
    other[:, 13] += 10
    y, y_other = (block(rows, block.init_state(1))[0] for rows in (x, other))
    changed = (y != y_other).any(-1)[0].nonzero()[:, 0].tolist()
    assert changed == [13, 17, 21]
