"""The training of a forecasting network on whole records: pinball loss, early stop, any GPUs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Generator, Tensor

from sensorssm.config import ModelConfig, Precision, TrainingConfig
from sensorssm.errors import ConfigError
from sensorssm.estimators.checkpoints import Checkpoint, fingerprint
from sensorssm.estimators.fold import CHUNK
from sensorssm.estimators.learning import Series
from sensorssm.estimators.network_fold import MISSING, NetworkFold, lagged, split
from sensorssm.estimators.network_lesson import NetworkLesson
from sensorssm.estimators.precision import full_float32, lower_products
from sensorssm.estimators.ranks import Ranks
from sensorssm.estimators.scale import Scale
from sensorssm.estimators.training import Progress, Segments, one_thread, train
from sensorssm.models.losses import pinball_loss
from sensorssm.models.network import SensorSSM

#: Targets in one optimiser step and in one validation, in numbers; origins beyond them are left
#: out, at random or evenly: neighbours share all but one of their targets.
_MOST_A_STEP = 2**18
_MOST_HELD = 2**20
#: Share of the rows that training blanks, so that a gap is nothing new.
_BLANKED = 0.05


def learn_network(
    series: Mapping[str, Series],
    sizes: ModelConfig,
    training: TrainingConfig,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: str | None = None,
    precision: Precision = "auto",
) -> NetworkFold:
    """Return a network trained on the first rows of every asset, stopped by the rows after them.

    Too few rows leave it as it starts: it forecasts each tag's recent level. With a folder for a
    `checkpoint`, a run that was killed goes on from its last validation.
    """
    parts = list(series.values())
    scales = Scale.of_each([own.values[: own.trained] for own in parts])
    own_scales = [Scale(*pair) for pair in zip(*scales, strict=True)][1:]
    lesson = NetworkLesson(parts, own_scales, sizes.horizon)
    generator = Generator().manual_seed(seed)
    network = SensorSSM(sizes, generator=generator)
    if min(len(lesson.taught), len(lesson.held_back)) > 0:
        with one_thread(), full_float32():
            run = _Run(network, lesson, training, generator, precision)
            run.train(progress, None if checkpoint is None else run.kept_in(checkpoint, seed))
    return NetworkFold(network, scales, list(series))


class _Run:
    """One training run, on a GPU when there is one, together with any other processes."""

    def __init__(
        self,
        network: SensorSSM,
        lesson: NetworkLesson,
        config: TrainingConfig,
        generator: Generator,
        precision: Precision,
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.ranks = Ranks.on(self.device)
        if config.batch < self.ranks.count:
            raise ConfigError(
                f"batch={config.batch} has no segment for each of {self.ranks.count} processes"
            )
        self.precision: Precision = precision
        self.network, self.lesson = network.to(self.device), lesson
        self.config, self.generator = config, generator
        self.tags, total = lesson.inputs.shape
        self.segments = Segments(lesson.taught, lesson.starts, total, config)
        self.most = max(16, _MOST_A_STEP // network.config.horizon)
        per_row = network.config.horizon * self.tags
        every = -(-len(lesson.held_back) // max(16, _MOST_HELD // per_row))
        self.judging = lesson.held_back[::every]
        self.truth = lesson.told(self.judging).to(self.device)

    def train(self, progress: Progress | None, checkpoint: Checkpoint | None = None) -> None:
        """Train the network in place."""
        train(
            self.network,
            self._batch_loss,
            self._held_back_loss,
            self.config,
            progress=progress,
            checkpoint=checkpoint,
            ranks=self.ranks,
        )

    def kept_in(self, folder: str, seed: int) -> Checkpoint:
        """Return the checkpoint of this run, by its settings and rows, in `folder`."""
        settings = {
            "network": self.network.config.to_dict(),
            "training": self.config.to_dict(),
            "seed": seed,
            "precision": self.precision,
        }
        elapsed = self.lesson.elapsed
        rows = [self.lesson.inputs, self.lesson.starts, self.lesson.taught]
        rows += [] if elapsed is None else [elapsed]
        return Checkpoint(
            folder, self.generator, fingerprint(settings, [np.asarray(part) for part in rows])
        )

    def _batch_loss(self) -> Tensor:
        rows, wanted = self.segments.sample(self.generator)
        tags = torch.randint(self.tags, (len(rows),), generator=self.generator)
        wanted &= torch.rand(rows.shape, generator=self.generator) * wanted.sum() < self.most
        x = self.lesson.with_lags(rows, tags, self.network.config.inputs - 1)
        blank = torch.rand(x.shape, generator=self.generator) < _BLANKED
        drawn = (x.masked_fill(blank, MISSING), rows, wanted, tags)
        x, rows, wanted, tags = (self.ranks.share(part) for part in drawn)
        with lower_products(self.precision, self.device):
            return self._loss_of(lagged(x, self.network), rows, wanted, tags)

    def _loss_of(self, x: Tensor, rows: Tensor, wanted: Tensor, tags: Tensor) -> Tensor:
        """Return what segments (B, L) of this process add to the loss of all that were drawn."""
        elapsed = self.lesson.elapsed
        steps = None if elapsed is None else elapsed[0, rows].to(self.device)
        state = self.network.init_state(len(rows))
        encoding, _ = self.network.encode(x.to(self.device), state, steps)
        target = [
            self.lesson.taught_after(own[there].numpy(), int(tag))
            for own, there, tag in zip(rows, wanted, tags, strict=True)
            if there.any()
        ]
        target = torch.cat([torch.empty(0, self.lesson.horizon), *target]).to(self.device)
        known = target.isfinite().sum()
        share = known / self.ranks.total(known).clamp_min(1)
        return self._loss(torch.cat(encoding, dim=-1)[wanted.to(self.device)], target) * share

    def _held_back_loss(self) -> float:
        """Return the loss of all held-back rows, each forecast from the whole of its past."""
        seen = torch.cat([self._encodings(*record) for record in self.lesson.records])
        seen = seen[torch.from_numpy(self.judging).to(self.device)]
        parts = zip(seen.split(CHUNK), self.truth.split(CHUNK), strict=True)
        known = self.truth.isfinite().sum()
        total = sum(self._loss(a, b) * b.isfinite().sum() for a, b in parts)
        return float(total / known.clamp_min(1))

    def _encodings(self, low: int, high: int) -> Tensor:
        """Return the encodings (n, M, S) of one asset's rows, read from a new state."""
        state, elapsed = self.network.init_state(self.tags), self.lesson.elapsed
        lags, parts = self.network.config.inputs - 1, []
        before = torch.full((self.tags, lags), MISSING)
        for at in range(low, high, CHUNK):
            cut = slice(at, min(at + CHUNK, high))
            read = torch.cat([before, self.lesson.inputs[:, cut]], dim=1)
            x, before = lagged(read, self.network), read[:, read.shape[1] - lags :]
            steps = None if elapsed is None else elapsed[:, cut].expand(self.tags, -1)
            steps = None if steps is None else steps.to(self.device)
            encoding, state = self.network.encode(x.to(self.device), state, steps)
            parts.append(torch.cat(encoding, dim=-1).transpose(0, 1))
        return torch.cat(parts)

    def _loss(self, encodings: Tensor, target: Tensor) -> Tensor:
        """Return the loss of encodings (..., S) of single tags, by what followed, (..., H)."""
        features, level, scale = split(encodings)
        quantiles = self.network.head(features)[..., 0, :]
        told = level[..., None] + scale[..., None] * quantiles
        return pinball_loss(told, target, self.network.config.levels)
