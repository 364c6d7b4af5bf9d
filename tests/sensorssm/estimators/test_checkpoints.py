"""A fit that is killed goes on where it was, to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sensorssm.errors import ConfigError
from sensorssm.estimators.checkpoints import Checkpoint
from sensorssm.estimators.neural import NeuralForecaster

SETTINGS = {
    "horizon": 6, "lags": 4, "width": 8, "layers": 1, "batch": 4, "segment": 24, "steps": 80,
}  # fmt: skip


def readings() -> np.ndarray:
    """Return 300 rows of two noisy waves."""
    rng = np.random.default_rng(5)
    wave = np.sin(np.arange(300) * np.pi / 6)
    return np.stack([wave, -wave], axis=1) + 0.2 * rng.standard_normal((300, 2))


KILLED = """
import os, runpy, signal, sys
names = runpy.run_path(sys.argv[1])
keep, kept = names["Checkpoint"].keep, []

def keep_and_die(self, step, *parts):
    keep(self, step, *parts)
    kept.append(step)
    if len(kept) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

names["Checkpoint"].keep = keep_and_die
names["NeuralForecaster"](checkpoint=sys.argv[2], **names["SETTINGS"]).fit(names["readings"]())
"""


def weights_of(model: NeuralForecaster) -> dict[str, np.ndarray]:
    return model._fold.to_parts()[1]


def test_a_killed_fit_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its second validation, a fit resumes there and ends as if nothing had been."""
    folder = tmp_path / "run"
    words = [sys.executable, "-c", KILLED, __file__, str(folder)]
    died = subprocess.run(words, check=False, env=_paths(), capture_output=True, timeout=120)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert [path.name for path in folder.iterdir()] == ["step-000000050"]

    steps = []
    keep = Checkpoint.keep
    monkeypatch.setattr(
        Checkpoint,
        "keep",
        lambda self, step, *parts: (steps.append(step), keep(self, step, *parts)),
    )
    resumed = NeuralForecaster(checkpoint=str(folder), **SETTINGS).fit(readings())
    whole = NeuralForecaster(**SETTINGS).fit(readings())

    assert steps == [75, 80]
    for name, weight in weights_of(whole).items():
        np.testing.assert_array_equal(weights_of(resumed)[name], weight)
    assert not list(folder.iterdir())


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the checkpoint folder of a fit that was interrupted after its first validation."""
    keep = Checkpoint.keep

    def interrupted(self: Checkpoint, step: int, *parts: object) -> None:
        keep(self, step, *parts)  # pyright: ignore[reportArgumentType]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            NeuralForecaster(checkpoint=str(tmp_path), **SETTINGS).fit(readings())
    return tmp_path


def test_a_checkpoint_that_was_half_written_is_passed_over(stopped: Path) -> None:
    """What a kill in the middle of writing leaves is not gone on from; the one before is."""
    half = stopped / "step-000000050"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"half of")
    resumed = NeuralForecaster(checkpoint=str(stopped), **SETTINGS).fit(readings())

    whole = weights_of(NeuralForecaster(**SETTINGS).fit(readings()))
    for name, weight in weights_of(resumed).items():
        np.testing.assert_array_equal(weight, whole[name])


def test_a_step_that_is_written_again_stays(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over what a kill left of the same step, the new one is written, and is gone on from."""
    (stopped / "step-000000050").mkdir()
    keep, left = Checkpoint.keep, []

    def watched(self: Checkpoint, step: int, *parts: object) -> None:
        keep(self, step, *parts)  # pyright: ignore[reportArgumentType]
        left.append([path.name for path in self.folder.iterdir()])

    monkeypatch.setattr(Checkpoint, "keep", watched)
    NeuralForecaster(checkpoint=str(stopped), **SETTINGS).fit(readings())

    assert left[0] == ["step-000000050"]


@pytest.mark.parametrize(
    ("settings", "rows"), [({"learning_rate": 1e-3}, 300), ({"random_state": 1}, 300), ({}, 299)]
)
def test_another_fits_checkpoint_is_refused(stopped: Path, settings: dict, rows: int) -> None:
    """Other settings, another seed or other rows do not go on from it."""
    model = NeuralForecaster(checkpoint=str(stopped), **SETTINGS | settings)
    with pytest.raises(ConfigError, match="other rows or with other settings"):
        model.fit(readings()[:rows])


def _paths() -> dict[str, str]:
    """Return an environment in which a child imports what this process does."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
