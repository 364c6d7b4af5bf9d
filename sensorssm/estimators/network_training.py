"""The training of a forecasting network on whole records: pinball loss, early stop, GPU if any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from sensorssm.config import ModelConfig, TrainingConfig
from sensorssm.estimators.fold import CHUNK
from sensorssm.estimators.learning import Series
from sensorssm.estimators.network_fold import NetworkFold, to_network
from sensorssm.estimators.scale import Scale
from sensorssm.estimators.targets import Targets
from sensorssm.estimators.training import Progress, Segments, one_thread, train
from sensorssm.models.losses import pinball_loss
from sensorssm.models.network import SensorSSM

IntArray = NDArray[np.int64]

#: Targets in one optimiser step and in one validation, in numbers; origins beyond them are left
#: out, at random or evenly: neighbours share all but one of their targets.
_MOST_A_STEP = 2**18
_MOST_HELD = 2**20
#: Share of the rows that training blanks, so that a gap is nothing new.
_BLANKED = 0.05


def learn_network(
    series: Sequence[Series],
    sizes: ModelConfig,
    training: TrainingConfig,
    *,
    seed: int,
    progress: Progress | None = None,
) -> NetworkFold:
    """Return a network trained on the first rows of every asset, stopped by the rows after them.

    Too few rows leave it as it starts: it forecasts each tag's recent level.
    """
    scale = Scale.of(np.concatenate([own.values[: own.trained] for own in series]))
    lesson = _Lesson(series, scale, sizes.horizon)
    generator = Generator().manual_seed(seed)
    network = SensorSSM(sizes, generator=generator)
    if min(len(lesson.taught), len(lesson.held_back)) > 0:
        with one_thread():
            _Run(network, lesson, training, generator).train(progress)
    return NetworkFold(network, scale)


class _Lesson:
    """All assets' rows as one series: what is read, what is to be told, and from which rows."""

    def __init__(self, series: Sequence[Series], scale: Scale, horizon: int) -> None:
        self.horizon = horizon
        self.inputs = to_network(np.concatenate([own.values for own in series]), scale)
        elapsed = np.concatenate([own.elapsed for own in series])
        even = np.all(elapsed == 1.0)
        self.elapsed = None if even else torch.from_numpy(elapsed.astype(np.float32))
        self.starts = np.cumsum([0, *(len(own.values) for own in series[:-1])])
        self._told = [Targets.of(scale.strip(own.values), own.elapsed) for own in series]
        self._taught = [
            Targets.of(scale.strip(own.values[: own.trained]), own.elapsed[: own.trained])
            for own in series
        ]
        spans = list(zip(self.starts, series, strict=True))
        # The last row that is learned from has nothing after it yet; the first to judge is that.
        self.taught = np.concatenate([at + np.arange(own.trained - 1) for at, own in spans])
        judging = [at + np.arange(own.trained - 1, len(own.values) - 1) for at, own in spans]
        self.held_back = np.concatenate(judging)

    def after(self, rows: IntArray, *, held_back: bool) -> Tensor:
        """Return what follows `rows`, (k, H, M), NaN where unknown or, in training, held back."""
        out = np.empty((len(rows), self.horizon, self.inputs.shape[1]), np.float32)
        asset = np.searchsorted(self.starts, rows, side="right") - 1
        for i, targets in enumerate(self._told if held_back else self._taught):
            own = asset == i
            if own.any():
                out[own] = targets.after_all(rows[own] - self.starts[i], self.horizon)
        return torch.from_numpy(out)


class _Run:
    """One training run, on a GPU when there is one."""

    def __init__(
        self, network: SensorSSM, lesson: _Lesson, config: TrainingConfig, generator: Generator
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network, self.lesson = network.to(self.device), lesson
        self.config, self.generator = config, generator
        total = len(lesson.inputs)
        self.segments = Segments(lesson.taught, lesson.starts, total, config)
        per_row = network.config.horizon * network.config.targets
        self.most = max(16, _MOST_A_STEP // per_row)
        every = -(-len(lesson.held_back) // max(16, _MOST_HELD // per_row))
        self.judging = lesson.held_back[::every]
        self.truth = lesson.after(self.judging, held_back=True).to(self.device)

    def train(self, progress: Progress | None) -> None:
        """Train the network in place."""
        train(self.network, self._batch_loss, self._held_back_loss, self.config, progress=progress)

    def _batch_loss(self) -> Tensor:
        rows, wanted = self.segments.sample(self.generator)
        at = wanted.nonzero()
        at = at[torch.randperm(len(at), generator=self.generator)[: self.most]].unbind(1)
        blank = torch.rand(rows.shape, generator=self.generator) < _BLANKED
        x = self.lesson.inputs[rows].masked_fill(blank[..., None], torch.nan)
        elapsed = self.lesson.elapsed
        steps = None if elapsed is None else elapsed[rows].to(self.device)
        state = self.network.init_state(len(rows))
        encoding, _ = self.network.encode(x.to(self.device), state, steps)
        target = self.lesson.after(rows[at].numpy(), held_back=False).to(self.device)
        return self._loss(torch.cat(encoding, dim=-1)[at], target)

    def _held_back_loss(self) -> float:
        """Return the loss of all held-back rows, each forecast from the whole of its past."""
        seen = self._encodings()[torch.from_numpy(self.judging).to(self.device)]
        parts = zip(seen.split(CHUNK), self.truth.split(CHUNK), strict=True)
        known = self.truth.isfinite().sum()
        total = sum(self._loss(a, b) * b.isfinite().sum() for a, b in parts)
        return float(total / known.clamp_min(1))

    def _encodings(self) -> Tensor:
        """Return the encodings (n, S) of all rows, with a new state where a record starts."""
        parts = []
        ends = [*self.lesson.starts[1:], len(self.lesson.inputs)]
        for low, high in zip(self.lesson.starts, ends, strict=True):
            state = self.network.init_state(1)
            for at in range(low, high, CHUNK):
                cut = slice(at, min(at + CHUNK, high))
                x = self.lesson.inputs[None, cut].to(self.device)
                elapsed = self.lesson.elapsed
                steps = None if elapsed is None else elapsed[None, cut].to(self.device)
                encoding, state = self.network.encode(x, state, steps)
                parts.append(torch.cat(encoding, dim=-1)[0])
        return torch.cat(parts)

    def _loss(self, encodings: Tensor, target: Tensor) -> Tensor:
        sizes = self.network.config
        parts = encodings.split([sizes.dim, sizes.targets, sizes.targets], dim=-1)
        level, scale = (part[:, None, :, None] for part in parts[1:])
        quantiles = level + scale * self.network.head(parts[0])
        return pinball_loss(quantiles, target, sizes.levels)
