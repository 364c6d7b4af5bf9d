"""Where the training of a correction runs makes no difference to where it is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sensorssm.config import ResidualConfig, TrainingConfig
from sensorssm.estimators.selective import SelectiveResidual


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_a_correction_trained_on_a_gpu_is_found_and_runs_on_the_cpu() -> None:
    """The same task is learned there, and two fits there are equal too."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3)).astype(np.float32)
    residual = (x[:, :1, None] + 0.3 * rng.normal(size=(2000, 4, 2))).astype(np.float32)

    def fit() -> SelectiveResidual:
        return SelectiveResidual(ResidualConfig(training=TrainingConfig(steps=100))).fit(
            x,
            lambda origins: residual[origins],
            train_rows=np.arange(1400),
            valid_rows=np.arange(1400, 1990),
            starts=[0, 700],
            horizon=4,
        )

    first, second = fit(), fit()
    assert first.kept_ and first.gain_ > 0.3
    for name, value in first.arrays().items():
        assert np.array_equal(value, second.arrays()[name]), name


def test_origins_beyond_what_memory_allows_are_thinned_evenly(monkeypatch) -> None:
    """With room for a tenth of the residuals it still learns, from every tenth origin."""
    from sensorssm.estimators import correction

    monkeypatch.setattr(correction, "_MOST_HELD", 2 * 4 * 100)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1400, 3)).astype(np.float32)
    residual = (x[:, :1, None] + 0.3 * rng.normal(size=(1400, 4, 2))).astype(np.float32)
    asked = []

    def given(origins: np.ndarray) -> np.ndarray:
        asked.append(np.asarray(origins))
        return residual[origins]

    model = SelectiveResidual(ResidualConfig(training=TrainingConfig(steps=25))).fit(
        x,
        given,
        train_rows=np.arange(1000),
        valid_rows=np.arange(1000, 1390),
        starts=[0],
        horizon=4,
    )
    assert np.array_equal(asked[1], np.arange(0, 1000, 10))
    assert model.kept_
