"""The launch that adds up the parts of gradients which rows or channels share."""

# pyright: reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false
from __future__ import annotations

import pytest
import torch

from tests.kernels.factories import DEVICE

pytest.importorskip("triton")
pytestmark = [pytest.mark.gpu] if DEVICE == "cuda" else []


def test_more_parts_than_one_pass_takes() -> None:
    """Several passes, a short one last, and columns of three gradients in one block."""
    from sensorssm_kernels.scan_sums_triton import sum_parts_kernel

    dim, states, size, strips, rows = 5, 3, 21, 11, 300
    draw = torch.Generator().manual_seed(0)
    parts = torch.randn(2, strips, size, generator=draw).to(DEVICE)
    shared = torch.randn(rows, dim * states + 2 * dim, generator=draw).to(DEVICE)
    B, C, A, skip, bias = (torch.empty(n, device=DEVICE) for n in (size, size, 15, dim, dim))
    sum_parts_kernel[(4,)](
        parts, shared, B, C, A, skip, bias, size, strips, rows, HAS_SKIP=True, HAS_BIAS=True,
        SIZE_A=15, DIM=dim, SIZE_B=0, SIZE_C=0, BLOCK=16, PARTS=8, BLOCK_A=16, PARTS_A=256,
    )  # fmt: skip
    torch.testing.assert_close(torch.stack([B, C]), parts.sum(1))
    torch.testing.assert_close(torch.cat([A, skip, bias]), shared.sum(0), rtol=1e-5, atol=1e-5)
