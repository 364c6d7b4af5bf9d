"""The compiled network: equal to the one in torch, and to itself in any chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sensorssm.config import ModelConfig
from sensorssm.errors import ShapeError
from sensorssm.models import SensorSSM
from sensorssm.models.cell import Cell


def both(**settings: int) -> tuple[SensorSSM, Cell]:
    config = ModelConfig(
        **{"inputs": 5, "targets": 2, "horizon": 7, "dim": 8, "state_size": 4, **settings}  # pyright: ignore[reportArgumentType]
    )
    generator = torch.Generator().manual_seed(0)
    model = SensorSSM(config, generator=generator)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1 or "centre" in name:  # no weight that starts at 0 or 1 stays there
                weight.add_(torch.randn(weight.shape, generator=generator))
    return model, Cell.from_weights({k: v.numpy() for k, v in model.state_dict().items()}, config)


def rows(length: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(length, 5)).astype(np.float32)


@torch.no_grad()
@pytest.mark.parametrize(
    "settings", [{"depth": 1}, {"depth": 3, "conv_width": 1}, {"dim": 24, "delta_rank": 3}]
)
def test_the_compiled_network_is_the_one_in_torch(settings: dict) -> None:
    """Coefficients and state agree with `SensorSSM`, whose layers are tested by definition."""
    model, cell = both(**settings)
    x = rows(65)
    encoding, state = model.encode(torch.from_numpy(x)[None], model.init_state(1))
    wanted = model.head.coefficients(encoding.features)[0].flatten(1).numpy()
    found, last = cell.run(x, None)
    # float32, sums in another order, through up to three blocks
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    for i in range(model.config.depth):
        for name in ("conv", "ssm"):
            np.testing.assert_allclose(
                last[name][i], state[f"{i}.{name}"][0].numpy(), rtol=1e-4, atol=1e-5
            )
    assert np.abs(found[1:] - found[:-1]).max() > 1e-2 * np.abs(wanted).max()


@torch.no_grad()
def test_delta_is_the_one_of_the_layers_in_torch() -> None:
    """Delta of every row, block and channel agrees, and reading it moves the state as a run does."""
    model, cell = both(depth=2, delta_rank=3)
    x = rows(40)
    wanted: list[torch.Tensor] = []
    for block in model.blocks:
        ssm = block.mixer.ssm  # pyright: ignore

        def keep(_: Any, __: Any, out: torch.Tensor, ssm: Any = ssm) -> None:
            wanted.append(torch.nn.functional.softplus(ssm.dt_proj(out[0, :, :3])))

        ssm.x_proj.register_forward_hook(keep)  # pyright: ignore
    model.encode(torch.from_numpy(x)[None], model.init_state(1))

    found, state = cell.deltas(x, None)
    np.testing.assert_allclose(found, torch.stack(wanted, dim=1).numpy(), rtol=1e-4, atol=1e-6)
    last = cell.run(x, None)[1]
    assert all(np.array_equal(state[name], last[name]) for name in last)
    first, between = cell.deltas(x[:17], None)
    assert np.array_equal(np.concatenate([first, cell.deltas(x[17:], between)[0]]), found)


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65])
def test_steps_and_chunks_are_the_whole_bit_by_bit(size: int) -> None:
    """It is one loop, whatever it is cut into, and the caller's state is left alone."""
    _, cell = both(depth=2)
    x = rows(130)
    whole, last = cell.run(x, None)
    state, parts = None, []
    for begin in range(0, 130, size):
        before = None if state is None else {k: v.copy() for k, v in state.items()}
        part, new = cell.run(x[begin : begin + size], state)
        if state is not None and before is not None:
            assert all(np.array_equal(state[k], before[k]) for k in state)
        state = new
        parts.append(part)
    assert np.array_equal(np.concatenate(parts), whole)
    assert state is not None and all(np.array_equal(state[k], last[k]) for k in last)


def test_no_rows_give_no_outputs_and_the_same_state() -> None:
    """An empty chunk is allowed."""
    _, cell = both()
    _, state = cell.run(rows(4), None)
    found, after = cell.run(rows(0), state)
    assert found.shape == (0, 14)
    assert all(np.array_equal(state[k], after[k]) for k in state)


def test_weights_and_states_of_another_shape_are_refused() -> None:
    """The loop trusts its shapes, so they are checked at the door."""
    model, cell = both()
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    weights["embed.weight"] = weights["embed.weight"][:, :4]
    with pytest.raises(ShapeError, match=r"embed.weight has shape \(8, 4\); wanted \(8, 5\)"):
        Cell.from_weights(weights, model.config)
    with pytest.raises(ShapeError, match="'ssm'"):
        cell.run(rows(2), {"ssm": np.zeros((1, 2, 3), np.float32)})
    with pytest.raises(ShapeError, match="columns"):
        cell.run(np.zeros((2, 4), np.float32), None)
