"""What the kernel tests share: fresh memory full of NaN, and the fast backends."""

from __future__ import annotations

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before any kernel is imported


@pytest.fixture(autouse=True)
def nan_in_fresh_memory():
    """Fill what `torch.empty` returns with NaN: an element that is not written shows."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)


_GPU = [pytest.mark.gpu] if torch.cuda.is_available() else []


@pytest.fixture(params=["cpu", pytest.param("triton", marks=_GPU)])
def backend(request) -> str:
    """Each fast backend: numba, and Triton in its interpreter (compiled where there is a GPU)."""
    return request.param
