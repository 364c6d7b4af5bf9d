"""Training that survives a killed process: all that the next step depends on, kept on disk.

A checkpoint is a model folder, safetensors and JSON: weights, their running mean, the best so far,
the optimiser's moments and the random generator. Going on from it gives, on a CPU, the very bits
that the uninterrupted run would have given.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from sensorssm.errors import ConfigError, ModelFileError
from sensorssm.estimators.folder import load_parts, save_parts, under

Arrays = Mapping[str, NDArray[Any]]

KIND = "Training"


class Best(Protocol):
    """The best weights so far, and how the held-back loss went."""

    step: int
    loss: float
    history: list[tuple[int, float]]
    weights: dict[str, Tensor]


class Checkpoint:
    """Keeps one training run in `folder`, a subfolder a step, the last of them whole.

    Parameters
    ----------
    generator : all that is random in the run comes from it
    fingerprint : of the settings and the rows; another run's checkpoint is refused
    """

    def __init__(self, folder: str | Path, generator: Generator, fingerprint: str) -> None:
        self.folder, self.generator, self.fingerprint = Path(folder), generator, fingerprint

    def keep(
        self,
        step: int,
        model: nn.Module,
        means: list[Tensor],
        best: Best,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        """Write where the run stands after `step`; older steps are removed once it is written."""
        tensors = {f"model.{name}": part for name, part in model.state_dict().items()}
        tensors |= {f"mean.{i}": mean for i, mean in enumerate(means)}
        tensors |= {f"best.{name}": part for name, part in best.weights.items()}
        for i, moments in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{i}.{name}": part for name, part in moments.items()}
        tensors["generator"] = self.generator.get_state()
        config = {
            "step": step,
            "fingerprint": self.fingerprint,
            "best_step": best.step,
            "best_loss": best.loss.hex(),
            "history": [[at, loss.hex()] for at, loss in best.history],
        }
        arrays = {name: _array(part) for name, part in tensors.items()}
        new = self.folder / f"step-{step:09d}"
        save_parts(new, KIND, config, arrays)
        for path in self._steps():
            if path != new:
                shutil.rmtree(path)

    def resume(
        self, model: nn.Module, means: list[Tensor], best: Best, optimiser: torch.optim.Optimizer
    ) -> int:
        """Put everything where the newest whole checkpoint left it; return its step, 0 without one.

        Raises
        ------
        ConfigError : the checkpoint of a fit on other rows or with other settings
        """
        for path in reversed(self._steps()):
            try:
                config, arrays = load_parts(path, KIND)
            except (ModelFileError, FileNotFoundError):  # killed while it was written
                continue
            if config["fingerprint"] != self.fingerprint:
                raise ConfigError(
                    f"{self.folder} holds the checkpoint of a fit on other rows or with other "
                    "settings. Name another folder, or remove it."
                )
            self._restore(config, arrays, model, means, best, optimiser)
            return int(config["step"])
        return 0

    def done(self) -> None:
        """Remove the checkpoint of a run that came to its end."""
        for path in self._steps():
            shutil.rmtree(path)

    def _restore(
        self,
        config: Mapping[str, Any],
        arrays: Arrays,
        model: nn.Module,
        means: list[Tensor],
        best: Best,
        optimiser: torch.optim.Optimizer,
    ) -> None:
        model.load_state_dict(_tensors(under("model.", arrays)))
        for i, mean in enumerate(means):
            mean.copy_(torch.from_numpy(arrays[f"mean.{i}"]))
        best.step, best.loss = int(config["best_step"]), float.fromhex(config["best_loss"])
        best.history = [(int(at), float.fromhex(loss)) for at, loss in config["history"]]
        best.weights = _tensors(under("best.", arrays))
        state = optimiser.state_dict()
        count = sum(len(group["params"]) for group in state["param_groups"])
        moments = [_tensors(under(f"optimiser.{i}.", arrays)) for i in range(count)]
        state["state"] = {i: part for i, part in enumerate(moments) if part}
        optimiser.load_state_dict(state)
        self.generator.set_state(torch.from_numpy(arrays["generator"]))

    def _steps(self) -> list[Path]:
        return sorted(self.folder.glob("step-*"))


def fingerprint(settings: Mapping[str, Any], parts: Iterable[NDArray[Any]]) -> str:
    """Return what tells one fit from another: a digest of its settings and of its rows."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for part in parts:
        digest.update(str(part.shape).encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _array(part: Tensor) -> NDArray[Any]:
    return part.detach().cpu().numpy()


def _tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: torch.tensor(part) for name, part in arrays.items()}
