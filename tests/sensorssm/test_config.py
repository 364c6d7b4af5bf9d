"""Settings: checked, refused by name, and back from JSON."""

from __future__ import annotations

import json

import pytest

from sensorssm.config import ModelConfig, ResidualConfig, TrainingConfig
from sensorssm.errors import ConfigError


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(inputs=3, targets=2, levels=(0.1, 0.5)),
        TrainingConfig(steps=7),
        ResidualConfig(dim=8, training=TrainingConfig(steps=7)),
    ],
)
def test_settings_survive_json(config) -> None:
    """What goes into a model folder comes back equal."""
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_key_is_refused_by_name() -> None:
    """The error names the key and the one that was probably meant."""
    with pytest.raises(ConfigError, match=r"'stepz'.*Did you mean 'steps'"):
        TrainingConfig.from_dict({"stepz": 1})
    with pytest.raises(ConfigError, match="'stepz'"):
        ResidualConfig.from_dict({"training": {"stepz": 1}})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"inputs": 0, "targets": 0}, "inputs"),
        ({"inputs": 2, "targets": 3}, "targets"),
        ({"inputs": 2, "targets": 2, "layer": "gru"}, "layer"),
        ({"inputs": 2, "targets": 2, "levels": (0.5, 0.1)}, "levels"),
        ({"inputs": 2, "targets": 2, "levels": ()}, "levels"),
        ({"inputs": 2, "targets": 2, "levels": (0.5, 1.0)}, "levels"),
        ({"inputs": 2, "targets": 2, "layer": "attention", "dim": 30}, "heads"),
        ({"inputs": 2, "targets": 2, "layer": "s4d", "state_size": 5}, "pairs"),
        ({"inputs": 2, "targets": 2, "horizon": float("nan")}, "horizon"),
    ],
)
def test_a_network_that_cannot_be_is_refused(settings: dict, named: str) -> None:
    """The setting at fault is named."""
    with pytest.raises(ConfigError, match=named):
        ModelConfig(**settings)


@pytest.mark.parametrize(
    "settings", [{"warm_up": 192}, {"learning_rate": 0.0}, {"clip": 0.0}, {"steps": 0}]
)
def test_a_training_that_cannot_be_is_refused(settings: dict) -> None:
    """The setting at fault is named."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        TrainingConfig(**settings)
