"""Selective Copying and Induction Heads: what a scan whose parameters see the input can do.

Selective Copying: 16 data tokens lie scattered among blanks; 16 markers at the end ask for them in
order. Induction Heads: a special token appears once, with a token after it; when it appears again at
the end, that token is asked for. Gu and Dao 2023, arXiv:2312.00752, section 4.1.

    python kernels/bench/tasks.py --task copying --length 4096 --seconds 420 --out copying.json
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sensorssm_kernels import causal_conv, selective_scan

BLANK, ASK, DATA = 0, 1, 2  # data tokens are DATA .. DATA + kinds - 1


class Mixer(nn.Module):
    """The Mamba block; with `selective=False` delta, B and C are parameters, the same always."""

    def __init__(self, width: int, states: int, *, selective: bool) -> None:
        super().__init__()
        dim, self.rank, self.states = 2 * width, max(1, width // 16), states
        self.selective = selective
        self.norm = nn.RMSNorm(width)
        self.enter = nn.Linear(width, 2 * dim, bias=False)
        self.taps = nn.Parameter(torch.empty(dim, 4).uniform_(-0.5, 0.5))
        self.taps_bias = nn.Parameter(torch.zeros(dim))
        if selective:
            self.look = nn.Linear(dim, self.rank + 2 * states, bias=False)
            self.widen = nn.Linear(self.rank, dim, bias=False)
            nn.init.uniform_(self.widen.weight, -(self.rank**-0.5), self.rank**-0.5)
        else:
            self.gain = nn.Parameter(torch.ones(dim, states))
            self.read = nn.Parameter(torch.randn(dim, states))
        step = torch.exp(torch.empty(dim).uniform_(math.log(1e-3), math.log(0.1)))
        self.delta_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))
        self.log_rates = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(dim, 1))
        self.skip = nn.Parameter(torch.ones(dim))
        self.leave = nn.Linear(dim, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus what the block adds, shape (B, L, width)."""
        u, gate = self.enter(self.norm(x)).chunk(2, dim=-1)
        u, _ = causal_conv(u, self.taps, self.taps_bias)
        if self.selective:
            narrow, B, C = self.look(u).split([self.rank, self.states, self.states], dim=-1)
            delta, bias = self.widen(narrow), self.delta_bias
        else:
            delta, bias, B, C = F.softplus(self.delta_bias), None, self.gain, self.read
        y, _ = selective_scan(
            u, delta, -self.log_rates.exp(), B, C, self.skip, gate, bias,
            delta_softplus=self.selective,
        )  # fmt: skip
        return x + self.leave(y)


class Network(nn.Module):
    """Tokens to logits through a stack of mixers."""

    def __init__(
        self, kinds: int, width: int, states: int, layers: int, *, selective: bool
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(kinds + DATA, width)
        self.mixers = nn.Sequential(
            *(Mixer(width, states, selective=selective) for _ in range(layers))
        )
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, kinds)

    def forward(self, tokens: Tensor, answers: int) -> Tensor:
        """Return the logits of the last `answers` positions, shape (B, answers, kinds)."""
        return self.head(self.norm(self.mixers(self.embed(tokens))[:, -answers:]))


def copying(batch: int, length: int, kinds: int, device: str, memory: int = 16):
    """Return tokens (B, L + memory) and the answers (B, memory) of Selective Copying."""
    answers = torch.randint(kinds, (batch, memory), device=device)
    places = torch.rand(batch, length, device=device).topk(memory).indices.sort().values
    tokens = torch.full((batch, length + memory), BLANK, device=device)
    tokens.scatter_(1, places, answers + DATA)
    tokens[:, length:] = ASK
    return tokens, answers


def induction(batch: int, length: int, kinds: int, device: str):
    """Return tokens (B, L + 1) and the answer (B, 1) of Induction Heads."""
    tokens = torch.randint(kinds, (batch, length + 1), device=device) + DATA
    place = torch.randint(length - 1, (batch, 1), device=device)
    tokens.scatter_(1, place, ASK)
    tokens[:, -1] = ASK
    return tokens, tokens.gather(1, place + 1) - DATA


TASKS = {"copying": copying, "induction": induction}


@dataclass
class Report:
    """One training run: its settings, its curve (seconds, length, loss, accuracy), its result."""

    task: str
    selective: bool
    length: int
    steps: int = 0
    seconds: float = 0.0
    curve: list[tuple[float, int, float, float]] = field(default_factory=list)
    accuracy: dict[int, float] = field(default_factory=dict)


def train(
    task: str, *, selective: bool, length: int, device: str, seconds: float = math.inf,
    steps: float = math.inf, batch: int = 64, kinds: int = 16, width: int = 64, states: int = 16,
    layers: int = 2, rate: float = 3e-3, goal: float = 0.997, seed: int = 0, shortest: int = 64,
    test_lengths: tuple[int, ...] = (),
) -> Report:  # fmt: skip
    """Train on growing lengths until `goal` or the time or steps are spent; test on fresh sequences.

    A length is left for one four times as long once the running accuracy passes the goal; a
    network that never passes it moves on all the same, so that it too ends at the full length.
    """
    torch.manual_seed(seed)
    network = Network(kinds, width, states, layers, selective=selective).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0)
    lengths = [n for n in (shortest * 4**i for i in range(10)) if n < length] + [length]
    report, start, stage, running, began = Report(task, selective, length), time.time(), 0, 0.0, 0.0
    while (share := max((spent := time.time() - start) / seconds, report.steps / steps)) < 1.0:
        warm = min(1.0, (report.steps + 1) / 200)
        decay = 0.5 * (1 + math.cos(math.pi * share))
        for group in optimiser.param_groups:
            group["lr"] = rate * warm * (0.1 + 0.9 * decay)
        tokens, answers = TASKS[task](batch, lengths[stage], kinds, device)
        logits = network(tokens, answers.shape[1])
        loss = F.cross_entropy(logits.flatten(0, 1), answers.flatten())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        report.steps += 1
        if report.steps % 20:
            continue
        hit = (logits.argmax(-1) == answers).float().mean().item()
        running = 0.8 * running + 0.2 * hit
        report.curve.append((round(spent, 1), lengths[stage], round(loss.item(), 4), round(hit, 4)))
        late = share - began > 0.15
        if running > goal and stage == len(lengths) - 1:
            break
        if running > goal or (late and stage < len(lengths) - 1):
            stage, running, began = stage + 1, 0.0, share
    report.seconds = time.time() - start
    for tested in (length, *test_lengths):
        report.accuracy[tested] = test(network, task, tested, kinds, device)
    return report


@torch.no_grad()
def test(network: Network, task: str, length: int, kinds: int, device: str) -> float:
    """Return the share of right answers over 1,024 fresh sequences."""
    right = []
    for _ in range(32):
        tokens, answers = TASKS[task](32, length, kinds, device)
        right.append((network(tokens, answers.shape[1]).argmax(-1) == answers).float().mean())
    return float(torch.stack(right).mean())


def main() -> None:
    """Train the selective and the time-invariant network, print both, write them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=TASKS, default="copying")
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=420, help="time for each network")
    parser.add_argument("--fixed-seconds", type=float, help="time for the time-invariant one")
    parser.add_argument("--test-lengths", type=int, nargs="*", default=[])
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    reports = []
    for selective in (True, False):
        seconds = options.seconds if selective else options.fixed_seconds or options.seconds
        report = train(
            options.task, selective=selective, length=options.length, seconds=seconds,
            device=device, rate=options.rate, test_lengths=tuple(options.test_lengths),
        )  # fmt: skip
        reports.append(report)
        name = "selective" if selective else "time-invariant"
        print(f"{options.task} {name}: accuracy {report.accuracy} after {report.steps} steps, "
              f"{report.seconds:.0f} s", flush=True)  # fmt: skip
        for row in report.curve[:: max(1, len(report.curve) // 40)]:
            spent, length, loss, hit = row
            print(f"   {spent} s, length {length}: loss {loss}, accuracy {hit}", flush=True)
    if options.out:
        options.out.write_text(json.dumps([asdict(x) for x in reports]))


if __name__ == "__main__":
    main()
