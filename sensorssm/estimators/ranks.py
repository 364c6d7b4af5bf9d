"""Training shared by several processes, one a GPU, as torch's own launcher starts them.

Every process draws the same batch, learns from its share of it, and adds up gradients with the
others, so that all take the same step. Who starts the processes joins them as well: without
`torch.distributed.init_process_group` a process is alone, and nothing here does anything.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor, distributed, nn


class Ranks(NamedTuple):
    """This process's place among those that train together, and where its tensors are."""

    rank: int = 0
    count: int = 1
    device: torch.device = torch.device("cpu")

    @classmethod
    def on(cls, device: torch.device) -> Self:
        """Return the place of this process, which trains on `device`."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls(device=device)
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

    @property
    def is_first(self) -> bool:
        """Whether it is this process that logs and writes."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """Return the rows of a batch that this process learns from."""
        return batch[self.rank :: self.count]

    def total(self, part: Tensor) -> Tensor:
        """Return the sum of every process's `part`, without a gradient."""
        if self.count == 1:
            return part
        part = part.detach().to(self.device, copy=True)
        distributed.all_reduce(part)
        return part

    def agreed(self, value: float) -> float:
        """Return the first process's `value`; none goes on before all have asked."""
        own = value if self.is_first else 0.0
        return float(self.total(torch.tensor(own, dtype=torch.float64)))

    def add_gradients(self, model: nn.Module) -> None:
        """Replace the gradients by their sums over the processes, in one message."""
        if self.count == 1:
            return
        grads = [weight.grad for weight in model.parameters() if weight.grad is not None]
        total = self.total(torch.cat([grad.flatten() for grad in grads]))
        for grad, part in zip(grads, total.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))


ALONE = Ranks()
