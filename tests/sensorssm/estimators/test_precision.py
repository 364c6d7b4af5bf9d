"""In which numbers a network is trained, and in which it never is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sensorssm.config import LAYERS, ModelConfig
from sensorssm.errors import ConfigError
from sensorssm.estimators.neural import NeuralForecaster
from sensorssm.estimators.precision import full_float32, lower_products
from sensorssm.models import SensorSSM

TINY: dict[str, Any] = {
    "horizon": 8, "lags": 5, "width": 8, "layers": 2, "batch": 4, "segment": 48,
    "context": 16, "patch": 5,
}  # fmt: skip
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def readings() -> np.ndarray:
    """Return 700 rows of a wave whose level needs more than bfloat16's three digits."""
    rng = np.random.default_rng(3)
    wave = np.sin(2 * np.pi * np.arange(700) / 12) + 0.1 * rng.standard_normal(700)
    return 5000 + wave[:, None]


@pytest.mark.parametrize("layer", LAYERS)
def test_bfloat16_learns_as_well(layer: str, readings: np.ndarray) -> None:
    """Every layer halves the error of the mean in bfloat16, by other weights than in float32."""
    settings: dict[str, Any] = {"layer": layer, "steps": 60, "learning_rate": 0.02, **TINY}
    low, full = (
        NeuralForecaster(precision=precision, **settings).fit(readings[:560])
        for precision in ("bfloat16", "float32")
    )
    origins = np.arange(560, 690)
    truth = readings[origins[:, None] + np.arange(1, 9)]
    told = low.forecast_from(readings, origins)

    assert np.abs(told - truth).mean() < 0.5 * np.abs(truth - 5000).mean()
    assert not np.array_equal(told, full.forecast_from(readings, origins))
    assert {weight.dtype for weight in low._fold.network.state_dict().values()} == {torch.float32}


def test_a_cpu_takes_float32_unless_asked(readings: np.ndarray) -> None:
    """Here "auto" is float32, to the last bit."""
    auto, full = (
        NeuralForecaster(precision=precision, steps=3, **TINY).fit(readings[:200]).forecast()
        for precision in ("auto", "float32")
    )
    if not torch.cuda.is_available():
        np.testing.assert_array_equal(auto, full)


@pytest.mark.parametrize("layer", ["selective", "fixed", "s4d"])
def test_states_stay_float32(layer: str) -> None:
    """Under bfloat16 products the state of a layer and the level are what they are in float32."""
    config = ModelConfig(inputs=1, targets=1, dim=8, layer=layer, normalise=True)  # pyright: ignore[reportArgumentType]
    network = SensorSSM(config, generator=torch.Generator().manual_seed(0))
    x = 5000 + torch.randn(2, 40, 1, generator=torch.Generator().manual_seed(1))
    full, _ = network.encode(x, network.init_state(2))
    with lower_products("bfloat16", CPU):
        low, state = network.encode(x, network.init_state(2))

    assert torch.equal(low.level, full.level) and torch.equal(low.scale, full.scale)
    assert state["0.ssm"].dtype == state["norm"].dtype == torch.float32
    assert not torch.equal(low.features, full.features)


def test_tf32_is_off_inside_and_as_it_was_outside() -> None:
    """Whatever the process has set, training has the whole of float32."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = True
        with full_float32():
            assert not matmul.allow_tf32 and not cudnn.allow_tf32
        assert matmul.allow_tf32 and cudnn.allow_tf32
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def test_other_numbers_are_refused() -> None:
    """The error names the setting and what it may be."""
    with pytest.raises(ConfigError, match=r"precision='float16'.*bfloat16"):
        NeuralForecaster(precision="float16").fit(np.zeros((50, 1)))  # pyright: ignore[reportArgumentType]
