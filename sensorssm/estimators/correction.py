"""The network behind a selective correction: its training, and numpy in and out around torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sensorssm.config import ModelConfig, ResidualConfig
from sensorssm.estimators.gate import Rows
from sensorssm.estimators.training import Progress, Segments, TrainingReport, evaluating, train
from sensorssm.models.losses import huber_loss
from sensorssm.models.network import SensorSSM

if TYPE_CHECKING:
    from sensorssm.estimators.selective import FloatArray, Residual

#: Residuals held in memory while training, and targets in one optimiser step, in numbers. Beyond
#: them origins are thinned evenly: neighbours share all but one of their targets.
_MOST_HELD = 2**25
_MOST_A_STEP = 2**19

#: Rows of one asset that run through the network at once; only memory depends on it.
_CHUNK = 8192


class CorrectionNetwork:
    """A `SensorSSM` that gives the coefficients of a correction for every row.

    Trained on a GPU when there is one; used on the CPU, where a step of one row is quickest.
    """

    def __init__(self, sizes: ModelConfig, config: ResidualConfig, seed: int) -> None:
        self.config = config
        self.generator = Generator().manual_seed(seed)
        self.model = SensorSSM(sizes, generator=self.generator).eval()

    def train(
        self,
        x: FloatArray,
        residual: Residual,
        train_rows: Rows,
        tune_rows: Rows,
        starts: Rows,
        progress: Progress | None = None,
    ) -> TrainingReport:
        """Train on the residuals of `train_rows`, stop early by those of `tune_rows`."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model, settings = self.model.to(device), self.config.training
        series = torch.from_numpy(x).to(device)
        per_row = model.config.horizon * model.config.targets
        pool, held_back = (_thin(rows, _MOST_HELD // per_row) for rows in (train_rows, tune_rows))
        target, tune_target = (_tensor(residual(rows), device) for rows in (pool, held_back))
        slot = torch.zeros(len(x), dtype=torch.int64)
        slot[torch.from_numpy(pool)] = torch.arange(len(pool))
        segments = Segments(pool, starts, len(x), settings)
        most = max(64, _MOST_A_STEP // per_row)

        def batch_loss() -> Tensor:
            rows, wanted = segments.sample(self.generator)
            at = wanted.nonzero()
            at = at[torch.randperm(len(at), generator=self.generator)[:most]]
            features = self._features_of(series[rows.to(device)])[at[:, 0], at[:, 1]]
            forecast = model.head(features)[..., 0]
            return huber_loss(forecast, target[slot[rows[at[:, 0], at[:, 1]]].to(device)])

        def valid_loss() -> float:
            features = self._features(series, starts)[torch.from_numpy(held_back).to(device)]
            return float(huber_loss(model.head(features)[..., 0], tune_target))

        report = train(model, batch_loss, valid_loss, settings, progress=progress)
        self.model = model.to("cpu").eval()
        return report

    def features(self, x: FloatArray, starts: Rows) -> FloatArray:
        """Return the features (n, D) of every row, with a new state wherever a record starts."""
        with evaluating(self.model):
            return self._features(torch.from_numpy(x), starts).numpy()

    def step(
        self, x: FloatArray, state: Mapping[str, FloatArray] | None
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return the features (n, D) of the next rows of one asset, and the state after them."""
        before = self.model.init_state(1)
        if state is not None:
            before = {name: torch.from_numpy(np.asarray(state[name])) for name in before}
        parts = []
        with torch.inference_mode():
            for chunk in torch.from_numpy(x)[None].split(_CHUNK, dim=1):
                encoding, before = self.model.encode(chunk, before)
                parts.append(encoding.features[0])
            features = torch.cat(parts) if parts else torch.zeros(0, self.model.config.dim)
        return features.numpy(), {name: value.numpy() for name, value in before.items()}

    def decode(self, features: FloatArray) -> FloatArray:
        """Return the coefficients (k, K, M) of features (k, D)."""
        with torch.inference_mode():
            return self.model.head.coefficients(torch.from_numpy(features)).numpy()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the weights by name."""
        return {name: value.numpy() for name, value in self.model.state_dict().items()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the weights in `arrays`; RuntimeError when they do not fit."""
        self.model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in arrays.items()})

    def _features_of(self, batch: Tensor) -> Tensor:
        """Return features of segments, with rows, inputs and features dropped at random."""
        segments, length, inputs = batch.shape
        batch = batch * self._keep(self.config.blank_rows, segments, length, 1, like=batch)
        share = self.config.blank_inputs
        batch = batch * self._keep(share, segments, 1, inputs, like=batch) / (1 - share)
        features = self.model.encode(batch, self.model.init_state(segments))[0].features
        share = self.config.dropout
        return features * self._keep(share, *features.shape, like=features) / (1 - share)

    def _keep(self, share: float, *size: int, like: Tensor) -> Tensor:
        """Return a mask that drops `share`; torch's own dropout would draw from the global seed."""
        return (torch.rand(size, generator=self.generator) >= share).to(like)

    def _features(self, series: Tensor, starts: Rows) -> Tensor:
        parts = []
        for record in torch.tensor_split(series, torch.from_numpy(starts[1:])):
            state = self.model.init_state(1)
            for chunk in record[None].split(_CHUNK, dim=1):
                encoding, state = self.model.encode(chunk, state)
                parts.append(encoding.features[0])
        return torch.cat(parts)


def _thin(rows: Rows, most: int) -> Rows:
    """Return at most `most` of the rows, evenly spread."""
    return rows[:: -(-len(rows) // max(1, most))] if len(rows) else rows


def _tensor(residual: NDArray[Any], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(residual, np.float32)).to(device)
