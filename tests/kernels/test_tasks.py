"""The tasks of the bench, short enough for a CPU: what selectivity is for, end to end."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "kernels" / "bench" / "tasks.py"


@pytest.mark.soak
def test_selective_copying_needs_selective_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six tokens among 256 steps: a selective scan learns to keep them, a fixed one does not."""
    spec = importlib.util.spec_from_file_location("bench_tasks", BENCH)
    assert spec is not None and spec.loader is not None
    tasks = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_tasks", tasks)  # dataclasses look their module up
    spec.loader.exec_module(tasks)
    monkeypatch.setitem(tasks.TASKS, "copying", partial(tasks.copying, memory=6))

    def accuracy(*, selective: bool) -> float:
        report = tasks.train(
            "copying", selective=selective, length=256, steps=2500, device="cpu", batch=32,
            kinds=8, width=32, rate=5e-3, goal=0.99, shortest=16,
        )  # fmt: skip
        return report.accuracy[256]

    # About a minute each on one core.
    assert accuracy(selective=True) > 0.97
    assert accuracy(selective=False) < 0.8
