"""Algorithms 1 and 2: against slow loops, step by step, and in real time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sensorssm.models import ComplexSSM, FixedSSM, SelectiveSSM

DIM, STATE = 5, 4

# float32 results of sums of about a hundred terms of size one, reordered by the backend.
CLOSE = {"rtol": 1e-5, "atol": 2e-5}


def make(kind: str) -> FixedSSM | ComplexSSM | SelectiveSSM:
    generator = torch.Generator().manual_seed(0)
    if kind == "selective":
        layer = SelectiveSSM(DIM, STATE, rank=2, generator=generator)
    else:
        layer = {"fixed": FixedSSM, "s4d": ComplexSSM}[kind](DIM, STATE, generator=generator)
    with torch.no_grad():  # large steps, so that nothing hides behind a decay of one
        bias = layer.dt_proj.bias if isinstance(layer, SelectiveSSM) else layer.delta_bias
        bias.add_(3.0)
        layer.D.add_(torch.randn(DIM, generator=generator))
    return layer


def draw(*size: int, seed: int = 1) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


def times(*size: int) -> Tensor:
    return 0.5 + torch.rand(size, generator=torch.Generator().manual_seed(2))


def fixed_loop(layer: FixedSSM, x: Tensor, state: Tensor, elapsed: Tensor) -> tuple:
    """Algorithm 1 by its definition: zero-order hold of A and B, one step at a time."""
    A, outputs = -layer.A_log.exp(), []
    for t in range(x.shape[1]):
        delta = F.softplus(layer.delta_bias)[:, None] * elapsed[:, t, None, None]
        decay = torch.exp(delta * A)
        state = decay * state + (decay - 1) / A * layer.B * x[:, t, :, None]
        outputs.append((layer.C * state).sum(-1) + layer.D * x[:, t])
    return torch.stack(outputs, 1), state


def complex_loop(layer: ComplexSSM, x: Tensor, state: Tensor, elapsed: Tensor) -> tuple:
    """Real numbers only: each pair of states turns by an angle, fades, and takes a reading in."""
    real, imaginary = state.unflatten(-1, (-1, 2)).unbind(-1)
    delta, outputs = F.softplus(layer.delta_bias)[:, None], []
    for t in range(x.shape[1]):
        passed = delta * elapsed[:, t, None, None]
        angle, fade = layer.A_imag * passed, torch.exp(-layer.A_log.exp() * passed)
        real, imaginary = (
            fade * (real * angle.cos() - imaginary * angle.sin()) + delta * x[:, t, :, None],
            fade * (real * angle.sin() + imaginary * angle.cos()),
        )
        read = layer.C[..., 0] * real - layer.C[..., 1] * imaginary
        outputs.append(2 * read.sum(-1) + layer.D * x[:, t])
    return torch.stack(outputs, 1), torch.stack([real, imaginary], -1).flatten(2)


def selective_loop(layer: SelectiveSSM, x: Tensor, state: Tensor, elapsed: Tensor) -> tuple:
    """Algorithm 2 by its definition, with Mamba's first-order form for B."""
    A, outputs = -layer.A_log.exp(), []
    for t in range(x.shape[1]):
        low, B, C = (layer.x_proj.weight @ x[:, t].T).T.split(layer.sizes, dim=-1)
        delta = F.softplus(low @ layer.dt_proj.weight.T + layer.dt_proj.bias)
        delta = delta * elapsed[:, t, None]
        drive = (delta * x[:, t])[:, :, None] * B[:, None]
        state = torch.exp(delta[:, :, None] * A) * state + drive
        outputs.append((state * C[:, None]).sum(-1) + layer.D * x[:, t])
    return torch.stack(outputs, 1), state


LOOPS = {"fixed": fixed_loop, "s4d": complex_loop, "selective": selective_loop}


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("kind", LOOPS)
def test_outputs_and_gradients_equal_a_float64_loop(kind: str, timed: bool) -> None:
    """Outputs, final state and every gradient agree with the definition run in float64."""
    layer, x, start = make(kind), draw(2, 33, DIM), draw(2, DIM, STATE)
    elapsed = times(2, 33) if timed else None
    weights = draw(2, 33, DIM, seed=3), draw(2, DIM, STATE, seed=4)

    def gradients(run, x: Tensor, start: Tensor, weights: tuple) -> tuple:
        x, start = x.requires_grad_(), start.requires_grad_()
        y, last = run(x, start)
        loss = (y * weights[0]).sum() + (last * weights[1]).sum()
        wanted = [x, start, *layer.parameters()]
        return y, last, torch.autograd.grad(loss, wanted)

    y, last, found = gradients(lambda x, s: layer(x, s, elapsed), x.clone(), start.clone(), weights)
    layer.double()
    one = torch.ones(2, 33) if elapsed is None else elapsed
    slow_y, slow_last, wanted = gradients(
        lambda x, s: LOOPS[kind](layer, x, s, one.double()),
        x.double(),
        start.double(),
        tuple(w.double() for w in weights),
    )

    torch.testing.assert_close(y, slow_y.float(), **CLOSE)
    torch.testing.assert_close(last, slow_last.float(), **CLOSE)
    for gradient, slow in zip(found, wanted, strict=True):
        scale = slow.abs().max().float()
        torch.testing.assert_close(gradient / scale, slow.float() / scale, **CLOSE)


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65])
@pytest.mark.parametrize("kind", LOOPS)
def test_steps_and_chunks_equal_one_scan(kind: str, length: int, timed: bool) -> None:
    """One row at a time, or in uneven chunks, gives the outputs and final state of one scan."""
    layer, x, start = make(kind), draw(2, length, DIM), draw(2, DIM, STATE)
    gate = draw(2, length, DIM, seed=5)
    elapsed = times(2, length) if timed else None
    whole, last = layer(x, start, elapsed, gate)

    for size in (1, 17):
        state, parts = start, []
        for at in torch.arange(length).split(size):
            part_times = None if elapsed is None else elapsed[:, at]
            y, state = layer(x[:, at], state, part_times, gate[:, at])
            parts.append(y)
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, **CLOSE)
        torch.testing.assert_close(state, last, **CLOSE)


@pytest.mark.parametrize("kind", LOOPS)
def test_the_tolerance_sees_a_shift_by_one_step(kind: str) -> None:
    """The tolerance above would not let a result pass that is one step late."""
    layer, x = make(kind), draw(1, 65, DIM)
    y, _ = layer(x, layer.init_state(1))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(y[:, 1:], y[:, :-1], **CLOSE)


@pytest.mark.parametrize("kind", LOOPS)
def test_later_inputs_change_no_earlier_output(kind: str) -> None:
    """Nothing looks ahead: other inputs from step 20 on leave the outputs before it as they were."""
    layer, x = make(kind), draw(1, 40, DIM)
    other = torch.cat([x[:, :20], draw(1, 20, DIM, seed=9)], dim=1)
    y, _ = layer(x, layer.init_state(1))
    y_other, _ = layer(other, layer.init_state(1))
    assert torch.equal(y[:, :20], y_other[:, :20])
    assert not torch.equal(y[:, 20:], y_other[:, 20:])


@pytest.mark.parametrize("kind", LOOPS)
def test_two_half_steps_of_nothing_equal_one_whole_step(kind: str) -> None:
    """Where nothing comes in, time passes alike in one row or in two."""
    layer, start = make(kind), draw(1, DIM, STATE)
    _, halves = layer(torch.zeros(1, 2, DIM), start, torch.full((1, 2), 0.5))
    _, whole = layer(torch.zeros(1, 1, DIM), start, torch.ones(1, 1))
    torch.testing.assert_close(halves, whole, **CLOSE)
    assert (whole - start).abs().max() > 0.1


def test_a_complex_layer_rings_after_one_reading() -> None:
    """Its answer to a single reading swings and fades, where real rates can only fade."""
    layer, x = ComplexSSM(1, 2), torch.zeros(1, 400, 1)
    x[0, 0] = 1.0
    with torch.no_grad():
        layer.D.zero_()
        layer.delta_bias.fill_(-3.0)
        layer.A_imag.fill_(torch.pi)
        layer.C.copy_(torch.tensor([[[1.0, 0.0]]]))
        y = layer(x, layer.init_state(1))[0][0, :, 0]

    delta = F.softplus(torch.tensor(-3.0))
    passed = delta * torch.arange(400)
    wanted = 2 * delta * torch.exp(-passed / 2) * torch.cos(torch.pi * passed)
    torch.testing.assert_close(y, wanted, **CLOSE)
    assert (y.sign().diff() != 0).sum() > 5


def test_an_input_held_for_two_steps_may_come_as_one_row() -> None:
    """Algorithm 1's zero-order hold is exact: two equal rows are one row of twice the time."""
    layer, x, start = make("fixed"), draw(1, 1, DIM), draw(1, DIM, STATE)
    _, twice = layer(x.expand(1, 2, DIM), start)
    _, once = layer(x, start, torch.full((1, 1), 2.0))
    torch.testing.assert_close(once, twice, **CLOSE)
