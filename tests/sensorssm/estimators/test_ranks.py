"""Processes that train together end in one model, which is the one that a single one trains."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from sensorssm.errors import ConfigError
from sensorssm.estimators.neural import NeuralForecaster
from sensorssm.estimators.ranks import Ranks

SETTINGS: dict[str, Any] = {
    "horizon": 6, "lags": 4, "width": 8, "layers": 1, "batch": 4, "segment": 24, "steps": 30,
}  # fmt: skip

TOGETHER = """
import os, runpy, sys
import numpy as np
from torch import distributed
names = runpy.run_path(sys.argv[1])
distributed.init_process_group("gloo")
folder = sys.argv[2]
model = names["NeuralForecaster"](checkpoint=folder + "/run", **names["SETTINGS"])
model.fit(names["readings"]())
np.savez(f"{folder}/{os.environ['RANK']}.npz", **names["weights_of"](model))
distributed.destroy_process_group()
"""


def readings() -> np.ndarray:
    """Return 300 rows of two noisy waves, with more gaps early on."""
    rng = np.random.default_rng(5)
    wave = np.sin(np.arange(300) * np.pi / 6)
    X = np.stack([wave, -wave], axis=1) + 0.2 * rng.standard_normal((300, 2))
    X[rng.random(X.shape) < np.linspace(0.5, 0, 300)[:, None]] = np.nan
    return X


def weights_of(model: NeuralForecaster) -> dict[str, np.ndarray]:
    return model._fold.to_parts()[1]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """Return the weights that each of two processes under torch's launcher came to."""
    folder = tmp_path_factory.mktemp("ranks")
    script = folder / "together.py"
    script.write_text(TOGETHER)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = [sys.executable, *launcher, str(script), __file__, str(folder)]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(words, env=env, check=False, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    assert not list((folder / "run").iterdir()), "a finished run leaves no checkpoint"
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(2)]


@pytest.mark.slow
def test_both_processes_end_with_the_same_bits(together: list[dict[str, np.ndarray]]) -> None:
    """Every step was taken together, and the same one was kept."""
    for name, weight in together[0].items():
        np.testing.assert_array_equal(weight, together[1][name], err_msg=name)


@pytest.mark.slow
def test_two_processes_train_what_one_does(together: list[dict[str, np.ndarray]]) -> None:
    """With the same batch the weights agree, a hundred times closer than with another batch."""
    smaller: dict[str, Any] = {**SETTINGS, "batch": 2}
    one, other = (
        weights_of(NeuralForecaster(**settings).fit(readings())) for settings in (SETTINGS, smaller)
    )

    def distance(weights: dict[str, np.ndarray]) -> float:
        return max(np.abs(weights[name] - one[name]).max() for name in one)

    # Sums of gradients add up in another order; a step of AdamW divides them by their own size.
    assert distance(together[0]) < 1e-4
    assert distance(other) > 1e-2


def test_shares_are_the_whole_batch_once() -> None:
    """Every row is learned from in one process, and no process has two rows more than another."""
    batch = torch.arange(7)
    shares = [Ranks(rank, 3).share(batch) for rank in range(3)]
    assert sorted(torch.cat(shares).tolist()) == batch.tolist()
    assert {len(share) for share in shares} == {2, 3}


def test_a_batch_has_a_segment_for_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """More processes than segments are refused, before any waits for another."""
    monkeypatch.setattr(Ranks, "on", lambda device: Ranks(0, 5, device))
    with pytest.raises(ConfigError, match=r"batch=4 .* 5 processes"):
        NeuralForecaster(**SETTINGS).fit(readings())


def test_a_process_alone_asks_nobody() -> None:
    """Without a process group there is one rank, whose sums are its own."""
    alone, part = Ranks.on(torch.device("cpu")), torch.tensor(3.0)
    assert alone.is_first and alone.count == 1
    assert alone.total(part) is part
    assert alone.agreed(0.1) == 0.1
