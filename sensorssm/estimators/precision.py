"""In which numbers a network is trained: bfloat16 for large products, or float32 and no less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sensorssm.config import Precision


def lower_products(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context in which products of matrices take bfloat16, or nothing changes.

    Weights, rates, levels and the states of state space layers are float32 in either. "auto" is
    bfloat16 on a GPU that has it, float32 elsewhere.
    """
    if precision == "auto":
        lower = device.type == "cuda" and torch.cuda.is_bf16_supported()
    else:
        lower = precision == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=lower)


@contextmanager
def full_float32() -> Iterator[None]:
    """Keep TF32, float32 with 10 bits of the 23, out of a GPU's products and its LSTM."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
