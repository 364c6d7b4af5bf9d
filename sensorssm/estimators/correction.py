"""The training of the network behind a selective correction: numpy in, weights in numpy out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sensorssm.config import ModelConfig, ResidualConfig
from sensorssm.estimators.gate import Residual, Rows
from sensorssm.estimators.training import Progress, Segments, one_thread, train
from sensorssm.models.losses import pinball_loss
from sensorssm.models.network import SensorSSM

FloatArray = NDArray[np.float32]

#: Residuals held in memory while training, and targets in one optimiser step, in numbers. Beyond
#: them origins are thinned evenly: neighbours share all but one of their targets.
_MOST_HELD = 2**25
_MOST_A_STEP = 2**19

#: The levels a correction is taught at. Each quantile lies where it lay without a correction, moved by
#: what the correction adds: the quantiles' own distances stay the readout's business.
LEVELS = (0.1, 0.5, 0.9)
#: Rows, and numbers, that those distances are read off; torch sorts no more than 2**24 at once.
_QUANTILE_ROWS = 2000
_QUANTILE_NUMBERS = 2**22

#: Rows of one asset that run through the network at once; only memory depends on it.
_CHUNK = 8192


class CorrectionTraining:
    """One training run: a network, the rows it reads, and where its randomness comes from.

    It runs on a GPU when there is one.
    """

    def __init__(
        self, sizes: ModelConfig, config: ResidualConfig, seed: int, x: FloatArray, starts: Rows
    ) -> None:
        self.config = config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.generator = Generator().manual_seed(seed)
        self.model = SensorSSM(sizes, generator=self.generator).to(self.device)
        self.series, self.starts = torch.from_numpy(x).to(self.device), starts

    def run(
        self,
        residual: Residual,
        train_rows: Rows,
        tune_rows: Rows,
        progress: Progress | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Learn the residuals of `train_rows`, stop early by those of `tune_rows`; give weights."""
        sizes = self.model.config
        per_row = sizes.horizon * sizes.targets
        pool, held_back = (_thin(rows, _MOST_HELD // per_row) for rows in (train_rows, tune_rows))
        target, tune_target = self._tensor(residual(pool)), self._tensor(residual(held_back))
        around = self._around(target)
        slot = torch.zeros(len(self.series), dtype=torch.int64)
        slot[torch.from_numpy(pool)] = torch.arange(len(pool))
        segments = Segments(pool, self.starts, len(self.series), self.config.training)
        most = max(64, _MOST_A_STEP // per_row)

        def batch_loss() -> Tensor:
            rows, wanted = segments.sample(self.generator)
            at = wanted.nonzero()
            at = at[torch.randperm(len(at), generator=self.generator)[:most]].unbind(1)
            features = self._thinned_features(self.series[rows.to(self.device)])[at]
            return self._loss(features, target[slot[rows[at]].to(self.device)], around)

        def valid_loss() -> float:
            features = self._features()[torch.from_numpy(held_back).to(self.device)]
            return float(self._loss(features, tune_target, around))

        with one_thread():
            train(self.model, batch_loss, valid_loss, self.config.training, progress=progress)
        return {name: value.cpu().numpy() for name, value in self.model.state_dict().items()}

    def _loss(self, features: Tensor, target: Tensor, around: Tensor) -> Tensor:
        return pinball_loss(self.model.head(features) + around, target, LEVELS)

    def _around(self, target: Tensor) -> Tensor:
        """Return the residuals' quantiles (H, M, Q), 0 where none is known."""
        most = max(16, min(_QUANTILE_ROWS, _QUANTILE_NUMBERS // target[0].numel()))
        some = target[:: -(-len(target) // most)]
        levels = torch.tensor(LEVELS, device=self.device)
        return some.nanquantile(levels, dim=0).nan_to_num().permute(1, 2, 0)

    def _features(self) -> Tensor:
        """Return features (n, D) of all rows, with a new state where an asset's record starts."""
        parts = []
        for record in torch.tensor_split(self.series, torch.from_numpy(self.starts[1:])):
            state = self.model.init_state(1)
            for chunk in record[None].split(_CHUNK, dim=1):
                encoding, state = self.model.encode(chunk, state)
                parts.append(encoding.features[0])
        return torch.cat(parts)

    def _thinned_features(self, batch: Tensor) -> Tensor:
        """Return features of segments, with rows, inputs and features dropped at random."""
        segments, length, inputs = batch.shape
        batch = batch * self._keep(self.config.blank_rows, segments, length, 1)
        share = self.config.blank_inputs
        batch = batch * self._keep(share, segments, 1, inputs) / (1 - share)
        features = self.model.encode(batch, self.model.init_state(segments))[0].features
        share = self.config.dropout
        return features * self._keep(share, *features.shape) / (1 - share)

    def _keep(self, share: float, *size: int) -> Tensor:
        """Return a mask that drops `share`; torch's own dropout would draw from the global seed."""
        return (torch.rand(size, generator=self.generator) >= share).float().to(self.device)

    def _tensor(self, residual: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(residual, np.float32)).to(self.device)


def _thin(rows: Rows, most: int) -> Rows:
    """Return at most `most` of the rows, evenly spread."""
    return rows[:: -(-len(rows) // max(1, most))] if len(rows) else rows
