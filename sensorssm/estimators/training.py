"""The fit loop: random segments, AdamW on a cosine schedule, early stop on held-back rows.

Everything random comes from the generator that is handed in, so two fits are equal and the global
generator is never touched.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn

from sensorssm.config import TrainingConfig
from sensorssm.errors import ConfigError
from sensorssm.estimators.checkpoints import Checkpoint
from sensorssm.estimators.ranks import ALONE, Ranks

logger = logging.getLogger(__name__)

#: Told after every validation: steps done, steps at most, loss on the held-back rows.
Progress = Callable[[int, int, float], None]

#: What a state space layer calls its rates: how fast its states fade, and how fast they turn.
_RATES = ("A_log", "A_imag")


@dataclass(frozen=True)
class TrainingReport:
    """What a run came to: the step that was kept, its loss, and every (step, loss) seen."""

    best_step: int
    best_loss: float
    history: tuple[tuple[int, float], ...]


class Segments:
    """Random segments of records, each from one asset, in which some rows are to be learned from.

    Parameters
    ----------
    rows : array of int, the rows that may be learned from
    starts : array of int, increasing from 0, the first row of every asset's record
    total : rows in all
    config : `segment`, `warm_up` and `batch` are used
    """

    def __init__(
        self, rows: np.ndarray, starts: np.ndarray, total: int, config: TrainingConfig
    ) -> None:
        self.rows, self.config = torch.as_tensor(rows, dtype=torch.int64), config
        self.starts = torch.as_tensor(starts, dtype=torch.int64)
        self.ends = torch.cat([self.starts[1:], torch.tensor([total])])
        self.wanted = torch.zeros(total, dtype=torch.bool)
        self.wanted[self.rows] = True

    def sample(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return row numbers (B, L) and whether each is to be learned from (B, L).

        A segment is laid around a wanted row that has at least `warm_up` steps before it, or all
        that its asset has. Past the end of the record the last row is repeated, not learned from.
        """
        size, warm, batch = self.config.segment, self.config.warm_up, self.config.batch
        chosen = self.rows[torch.randint(len(self.rows), (batch,), generator=generator)]
        before = torch.randint(warm, size, (batch,), generator=generator)
        asset = torch.searchsorted(self.starts, chosen, right=True) - 1
        first = torch.maximum(chosen - before, self.starts[asset])
        at = torch.arange(size)
        rows, last = first[:, None] + at, self.ends[asset, None] - 1
        ready = (at >= warm) | (first == self.starts[asset])[:, None]
        inside = rows <= last
        rows = torch.minimum(rows, last)
        return rows, ready & inside & self.wanted[rows]


def train(
    model: nn.Module,
    batch_loss: Callable[[], Tensor],
    valid_loss: Callable[[], float],
    config: TrainingConfig,
    *,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    ranks: Ranks = ALONE,
) -> TrainingReport:
    """Train `model` in place and leave it with the weights that did best on the held-back rows.

    Parameters
    ----------
    batch_loss : returns the loss of the next random batch, with its gradient; the losses of
        several processes add up
    valid_loss : returns the loss on the held-back rows; called without gradients, also before the
        first step, so that training can end where it began
    checkpoint : keeps the run at every validation, and goes on from where it was killed
    ranks : the processes that take every step together

    Raises
    ------
    ConfigError : a checkpoint that not all processes see
    """
    optimiser = torch.optim.AdamW(_decayed(model, config.weight_decay), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _cosine(config.steps))
    best = _Best(model, ranks.agreed(_held_back(model, valid_loss)))
    mean = _Mean(model, config.averaging)
    done = 0
    if checkpoint is not None:
        done = checkpoint.resume(model, mean.means, best, optimiser)
        if ranks.agreed(done) != done:
            raise ConfigError(f"{checkpoint.folder} is not the same folder to all processes.")
        _go_on(schedule, done)
    for step in range(done + 1, config.steps + 1):
        if step - 1 - best.step >= config.patience * config.check_every:
            break
        optimiser.zero_grad(set_to_none=True)
        batch_loss().backward()
        ranks.add_gradients(model)
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()
        schedule.step()
        mean.follow(step)
        if step % config.check_every and step != config.steps:
            continue
        with mean.in_place():
            loss = ranks.agreed(_held_back(model, valid_loss))
            best.see(step, loss)
        logger.debug("step %d of %d: held-back loss %.5f", step, config.steps, loss)
        if progress is not None and ranks.is_first:
            progress(step, config.steps, loss)
        if checkpoint is not None and ranks.is_first:
            checkpoint.keep(step, model, mean.means, best, optimiser)
    model.load_state_dict(best.weights)
    if checkpoint is not None and ranks.is_first:
        checkpoint.done()
    return TrainingReport(best.step, best.loss, tuple(best.history))


class _Mean:
    """A running mean of the weights; it generalises better than where a step happened to end.

    References
    ----------
    Izmailov et al. 2018, arXiv:1803.05407; Morales-Brotons et al. 2024, arXiv:2411.18704.
    """

    def __init__(self, model: nn.Module, keep: float) -> None:
        self.keep, self.weights = keep, list(model.parameters())
        self.means = [weight.detach().clone() for weight in self.weights]

    @torch.no_grad()
    def follow(self, step: int) -> None:
        keep = min(self.keep, step / (step + 10))  # the start is soon forgotten
        for mean, weight in zip(self.means, self.weights, strict=True):
            mean.lerp_(weight, 1 - keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Lend the model its mean weights."""
        own = [weight.detach().clone() for weight in self.weights]
        self._put(self.means)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for weight, value in zip(self.weights, values, strict=True):
            weight.copy_(value)


class _Best:
    """The weights with the lowest held-back loss so far; a loss that is no number never is."""

    def __init__(self, model: nn.Module, loss: float) -> None:
        self.model, self.step, self.loss = model, 0, loss
        self.history = [(0, loss)]
        self.weights = self._copy()

    def see(self, step: int, loss: float) -> None:
        self.history.append((step, loss))
        if loss < self.loss:
            self.step, self.loss, self.weights = step, loss, self._copy()

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}


def _held_back(model: nn.Module, valid_loss: Callable[[], float]) -> float:
    with evaluating(model):
        return valid_loss()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch `model` to evaluation and gradients off, and back afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, and as many as before afterwards.

    Products as small as these gain nothing from a second thread, which spins while it waits: on
    two busy cores a fit took ten times the CPU time. And sums come out alike on every machine.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _decayed(model: nn.Module, weight_decay: float) -> list[dict]:
    """Split parameters: matrices decay; biases, norms, skips and rates of an SSM do not."""
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[parameter.ndim > 1 and not name.endswith(_RATES)].append(parameter)
    return [
        {"params": groups[True], "weight_decay": weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]


def _go_on(schedule: torch.optim.lr_scheduler.LambdaLR, step: int) -> None:
    """Put the learning rates where they were after `step` steps."""
    schedule.last_epoch = step
    for group, base, factor in zip(
        schedule.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
    ):
        group["lr"] = base * factor(step)


def _cosine(steps: int, warm: float = 0.1) -> Callable[[int], float]:
    """Return the learning rate's factor at a step: up over the first tenth, down along a cosine."""
    rise = max(1, round(warm * steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor
