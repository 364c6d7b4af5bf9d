"""Networks of every layer: steps, chunks, causality, gaps, and the state as plain tensors."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from sensorssm.config import LAYERS, ModelConfig
from sensorssm.errors import ShapeError
from sensorssm.models import SensorSSM

# float32 through two blocks and a head of weights near one: sums of hundreds of terms, reordered.
CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def make(layer: str, **settings: Any) -> SensorSSM:
    config = ModelConfig(
        inputs=3, targets=2, horizon=5, levels=(0.1, 0.5, 0.9), dim=8, layer=layer,  # pyright: ignore[reportArgumentType]
        heads=2, context=16, span=20.0, **settings,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    model = SensorSSM(config, generator=generator)
    with torch.no_grad():
        model.head.centre.weight.normal_(generator=generator)
    return model.eval()


def draw(length: int, gaps: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, length, 3, generator=generator)
    return x.masked_fill(torch.rand(x.shape, generator=generator) < 0.2, math.nan) if gaps else x


def in_parts(model: SensorSSM, x: Tensor, elapsed: Tensor | None, size: int) -> tuple:
    state, parts = model.init_state(len(x)), []
    for at in torch.arange(x.shape[1]).split(size):
        y, state = model(x[:, at], state, None if elapsed is None else elapsed[:, at])
        parts.append(y)
    return torch.cat(parts, dim=1), state


@torch.no_grad()
@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("length", [1, 2, 63, 64, 65])
@pytest.mark.parametrize("layer", LAYERS)
def test_steps_and_chunks_equal_one_scan(layer: str, length: int, normalise: bool) -> None:
    """One row at a time, or in chunks, gives the forecasts and final state of the whole."""
    model, x = make(layer, normalise=normalise), draw(length, gaps=normalise)
    elapsed = 0.5 + torch.rand(2, length, generator=torch.Generator().manual_seed(2))
    whole, last = model(x, model.init_state(2), elapsed)
    assert whole.isfinite().all()
    for size in (1, 17):
        y, state = in_parts(model, x, elapsed, size)
        torch.testing.assert_close(y, whole, **CLOSE)
        assert state.keys() == last.keys()
        for name, value in last.items():
            torch.testing.assert_close(state[name], value, **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("layer", LAYERS)
def test_the_tolerance_sees_a_shift_by_one_step(layer: str) -> None:
    """Forecasts that are one step late would not pass."""
    model, x = make(layer), draw(65)
    y, _ = model(x, model.init_state(2))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(y[:, 1:], y[:, :-1], **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("layer", LAYERS)
def test_later_rows_change_no_earlier_forecast(layer: str) -> None:
    """Nothing looks ahead, with normalisation and gaps too."""
    model, x = make(layer, normalise=True), draw(40, gaps=True)
    other = x.clone()
    other[:, 20:] = 100.0
    y, y_other = (model(rows, model.init_state(2))[0] for rows in (x, other))
    # The product of matrices of other sizes may round otherwise; the inputs are 100 times larger.
    torch.testing.assert_close(y[:, :20], y_other[:, :20], rtol=1e-6, atol=1e-6)
    assert (y[:, 20:] - y_other[:, 20:]).abs().max() > 1


@torch.no_grad()
@pytest.mark.parametrize("layer", ["selective", "fixed", "s4d", "attention"])
def test_elapsed_time_matters_and_one_step_each_is_the_default(layer: str) -> None:
    """Leaving `elapsed` out means ones; twice the time gives another forecast."""
    model, x = make(layer), draw(30)
    start = model.init_state(2)
    plain, _ = model(x, start)
    ones, _ = model(x, start, torch.ones(2, 30))
    twos, _ = model(x, start, torch.full((2, 30), 2.0))
    torch.testing.assert_close(plain, ones, **CLOSE)
    assert (plain - twos).abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("layer", LAYERS)
def test_forecasts_follow_a_tags_unit(layer: str) -> None:
    """With normalisation, 10 x + 30 is forecast as ten times the forecast of x, plus 30."""
    model, x = make(layer, normalise=True).double(), draw(40, gaps=True).double()
    y, y_other = (model(rows, model.init_state(2))[0] for rows in (x, 10 * x + 30))
    # Before a tag has moved its scale is unknown and taken as one.
    torch.testing.assert_close(10 * y[:, 10:] + 30, y_other[:, 10:], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_every_weight_learns(layer: str) -> None:
    """The loss reaches every parameter, with gaps in the input."""
    model, x = make(layer, normalise=True), draw(20, gaps=True)
    y, _ = model(x, model.init_state(2))
    (y**2).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("layer", LAYERS)
def test_a_generator_of_its_own_makes_equal_networks(layer: str) -> None:
    """Two networks from equal generators are equal and the global generator has not moved."""
    before = torch.random.get_rng_state()
    first, second = make(layer).state_dict(), make(layer).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_the_state_belongs_to_the_caller() -> None:
    """A call changes neither the state it was given nor its input."""
    model, x = make("selective", normalise=True), draw(8, gaps=True)
    _, state = model(x, model.init_state(2))
    kept = {name: value.clone() for name, value in state.items()}
    rows = x.clone()
    model(x, state)
    assert all(torch.equal(state[name], kept[name]) for name in kept)
    assert torch.equal(x.nan_to_num(), rows.nan_to_num())


def test_other_columns_than_configured_are_refused() -> None:
    """The error says what was found and wanted."""
    model = make("selective")
    with pytest.raises(ShapeError, match=r"\(2, 4, 7\).*\(batch, length, 3\)"):
        model(torch.zeros(2, 4, 7), model.init_state(2))


def test_the_folder_imports_without_torch() -> None:
    """The memory and readout of the forecaster live here too and start without torch."""
    code = "import sys, sensorssm.models, sensorssm.estimators.selective; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
