"""What selection is for: remembering what was marked, however long ago, and nothing else."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from sensorssm.config import ModelConfig, TrainingConfig
from sensorssm.estimators.training import train
from sensorssm.models import SensorSSM, huber_loss

STEPS = TrainingConfig(steps=200, learning_rate=1e-2, averaging=0.95, check_every=50)


def marked_values(generator: Generator, batch: int) -> tuple[Tensor, Tensor]:
    """Return values with a mark on one in ten, and at every step the last marked value."""
    value = torch.randn(batch, 64, generator=generator)
    mark = torch.rand(batch, 64, generator=generator) < 0.1
    mark[:, 0] = True
    last = torch.where(mark, torch.arange(64), 0).cummax(1).values
    return torch.stack([value, mark.float()], dim=-1), value.gather(1, last)


def square_error(layer: str) -> float:
    """Return the held-back square error of a small network after a short training."""
    generator = Generator().manual_seed(0)
    config = ModelConfig(
        inputs=2, targets=1, horizon=1, dim=16, depth=1, state_size=8, layer=layer  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    model = SensorSSM(config, generator=generator)
    held_back = marked_values(Generator().manual_seed(9), 64)

    def forecast(x: Tensor) -> Tensor:
        return model(x, model.init_state(len(x)))[0][:, :, 0, 0, 0]

    def batch_loss() -> Tensor:
        x, wanted = marked_values(generator, 16)
        return huber_loss(forecast(x), wanted)

    def valid_loss() -> float:
        return float(((forecast(held_back[0]) - held_back[1]) ** 2).mean())

    return train(model, batch_loss, valid_loss, STEPS).best_loss


def test_selection_solves_what_a_fixed_memory_cannot() -> None:
    """Algorithm 2 holds the marked value (variance 1); Algorithm 1 in the same block does not."""
    assert square_error("selective") < 0.03
    assert square_error("fixed") > 0.1
