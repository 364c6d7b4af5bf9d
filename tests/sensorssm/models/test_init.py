"""Starting values: where they lie, and that they come from the generator that is given."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sensorssm.models.init import delta_bias, linear, log_decay, oscillation


def test_the_global_generator_is_left_alone() -> None:
    """With a generator of its own a layer is reproducible and draws nothing else."""
    before = torch.random.get_rng_state()
    first, second = (linear(7, 5, generator=torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.weight, second.weight)
    assert first.weight.unique().numel() == 35


def test_a_linear_layer_starts_within_pytorchs_bound() -> None:
    """Evenly between plus and minus one over the root of the inputs."""
    layer = linear(400, 100, generator=torch.Generator().manual_seed(0))
    assert 0.049 < layer.weight.abs().max() <= 0.05
    assert abs(layer.weight.std().item() - 0.05 / 3**0.5) < 1e-3


def test_delta_starts_between_a_thousandth_and_a_tenth() -> None:
    """Softplus of the starting bias is log-uniform over Mamba's range of step sizes."""
    delta = F.softplus(delta_bias(4096, generator=torch.Generator().manual_seed(0)))
    assert 1e-3 - 1e-8 <= delta.min() < 1.1e-3
    assert 0.09 < delta.max() <= 0.1 + 1e-6
    assert abs(delta.log().mean().item() - torch.tensor([1e-3, 0.1]).log().mean().item()) < 0.1


def test_decay_rates_are_the_whole_numbers() -> None:
    """S4D-Real: A is -1, -2, ... in every channel."""
    wanted = torch.arange(1.0, 6.0).repeat(3, 1)
    torch.testing.assert_close(log_decay(3, 5).exp(), wanted, rtol=1e-6, atol=1e-6)


def test_oscillations_fade_alike_and_turn_by_half_turns() -> None:
    """S4D-Lin: A is -1/2 + i pi n, from n = 0, in every channel."""
    rate, turn = oscillation(3, 4)
    torch.testing.assert_close(rate.exp(), torch.full((3, 4), 0.5))
    torch.testing.assert_close(turn / torch.pi, torch.arange(4.0).repeat(3, 1))
