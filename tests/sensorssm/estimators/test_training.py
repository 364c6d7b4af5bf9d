"""The fit loop: what segments hold, what is kept, and that two runs are one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from sensorssm.config import TrainingConfig
from sensorssm.estimators.training import Segments, TrainingReport, one_thread, train
from sensorssm.models import ComplexSSM

QUICK = TrainingConfig(
    steps=60, batch=8, segment=16, warm_up=4, check_every=5, patience=3, learning_rate=0.05
)


def test_segments_stay_in_one_asset_and_learn_from_warm_wanted_rows() -> None:
    """No segment crosses into another asset; rows without a past are only taken at its start."""
    rows, starts = np.r_[5:40, 55:90], np.array([0, 50])
    segments = Segments(rows, starts, 100, QUICK)
    generator = torch.Generator().manual_seed(0)
    learned = set()
    for _ in range(200):
        taken, live = segments.sample(generator)
        asset = taken >= 50
        assert (asset == asset[:, :1]).all()
        inner = taken.diff(dim=1)
        assert ((inner == 1) | ((inner == 0) & ~live[:, 1:])).all()
        began = (taken[:, :1] == 0) | (taken[:, :1] == 50)
        assert not live[:, :4][~began.expand(-1, 4)].any()
        assert live.any(dim=1).all()
        learned.update(taken[live].tolist())
    assert learned == set(rows.tolist())


def test_an_asset_shorter_than_a_segment_is_padded_and_not_learned_from_twice() -> None:
    """The last row is repeated to the segment's length, and counts once."""
    segments = Segments(np.arange(5), np.array([0]), 5, QUICK)
    taken, live = segments.sample(torch.Generator().manual_seed(0))
    assert taken.max() == 4 and taken.shape == (8, 16)
    assert (live.sum(dim=1) == 5).all()


class Line(nn.Module):
    """One weight, so that what training kept can be read off."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


def run(model: Line, best: float) -> TrainingReport:
    """Pull the weight to 1, where held-back rows say that `best` would be best."""
    return train(
        model,
        lambda: ((model.weight - 1) ** 2).sum(),
        lambda: float((model.weight - best) ** 2),
        QUICK,
    )


def test_the_best_weights_are_kept_and_training_stops_when_it_gets_worse() -> None:
    """The weight nearest to what held-back rows want is returned, before the last step."""
    model = Line()
    report = run(model, best=0.5)
    assert report.best_loss == pytest.approx((model.weight.item() - 0.5) ** 2)
    assert report.best_loss == min(loss for _, loss in report.history)
    assert 0 < report.best_step < report.history[-1][0] < QUICK.steps


def test_training_that_only_harms_ends_where_it_began() -> None:
    """When no step is better than none, the starting weights come back."""
    model = Line()
    report = run(model, best=-1.0)
    assert report.best_step == 0
    assert model.weight.item() == 0.0
    assert len(report.history) == 1 + QUICK.patience


def test_a_loss_that_is_no_number_is_never_kept() -> None:
    """A run that blows up returns to the last good weights."""
    model = Line()
    report = train(
        model,
        lambda: (model.weight * 1.0).sum(),
        lambda: float("nan") if model.weight.item() else 1.0,
        QUICK,
    )
    assert report.best_step == 0 and report.best_loss == 1.0
    assert model.weight.item() == 0.0


def test_progress_is_told_after_every_validation() -> None:
    """Steps done, steps at most, and the held-back loss."""
    model, told = Line(), []
    train(
        model,
        lambda: ((model.weight - 1) ** 2).sum(),
        lambda: float((model.weight - 1) ** 2),
        TrainingConfig(steps=12, check_every=5),
        progress=lambda *news: told.append(news),
    )
    assert [(step, most) for step, most, _ in told] == [(5, 12), (10, 12), (12, 12)]
    assert told[-1][2] < told[0][2]


def test_the_running_mean_of_the_weights_is_what_is_judged() -> None:
    """Held-back rows see the mean of the weights so far; the steps go on from the last weight."""
    model, stepped, judged = Line(), [], []

    def batch_loss() -> torch.Tensor:
        stepped.append(model.weight.item())
        return ((model.weight - 1) ** 2).sum()

    def valid_loss() -> float:
        judged.append(model.weight.item())
        return 0.0

    train(
        model,
        batch_loss,
        valid_loss,
        TrainingConfig(steps=30, averaging=0.6, learning_rate=0.5, check_every=1, patience=30),
    )
    mean = 0.0
    for step, weight in enumerate(stepped[1:], start=1):
        keep = min(0.6, step / (step + 10))
        mean = keep * mean + (1 - keep) * weight
        assert judged[step] == pytest.approx(mean, rel=1e-5)
    assert abs(judged[5] - stepped[6]) > 0.01  # the mean is not the last weight


def test_the_number_of_threads_is_given_back() -> None:
    """Training takes one thread for itself and leaves the setting as it was, also when it fails."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError), one_thread():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_rates_do_not_decay() -> None:
    """Weight decay draws matrices to zero; there a state would never fade, or no longer turn."""
    layer = ComplexSSM(3, 4, generator=torch.Generator().manual_seed(0))
    before = {name: value.detach().clone() for name, value in layer.named_parameters()}
    better = iter(range(0, -100, -1))
    train(
        layer,
        lambda: sum((0.0 * value.sum() for value in layer.parameters()), torch.zeros(())),
        lambda: float(next(better)),
        replace(QUICK, steps=5, weight_decay=0.5, averaging=0.0),
    )
    after = dict(layer.named_parameters())
    assert torch.equal(after["A_log"], before["A_log"])
    assert torch.equal(after["A_imag"], before["A_imag"])
    assert (after["C"].abs() < before["C"].abs()).all()
