"""The selective correction: kept when there is something, exactly nothing when there is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sensorssm.config import ResidualConfig, TrainingConfig
from sensorssm.errors import ModelFileError, ShapeError
from sensorssm.estimators.selective import SelectiveResidual

HORIZON, TAGS = 6, 2

SMALL = ResidualConfig(
    dim=16,
    state_size=8,
    basis=4,
    blank_inputs=0.0,  # both inputs are needed at every step of this task
    dropout=0.0,
    training=TrainingConfig(
        steps=250,
        segment=96,
        warm_up=32,
        learning_rate=1e-2,
        averaging=0.95,
        patience=10,
    ),
)
QUICK = replace(SMALL, training=replace(SMALL.training, steps=50))


def readings(rows: int, seed: int = 0) -> np.ndarray:
    """Features: a signal, and a flag that says now and then whether the sign is turned."""
    rng = np.random.default_rng(seed)
    flag = np.where(rng.random(rows) < 0.05, rng.choice([-1.0, 1.0], rows), 0.0)
    return np.stack([rng.normal(size=rows), flag], axis=1).astype(np.float32)


def switching(x: np.ndarray, noise: float = 0.3) -> Callable[[np.ndarray], np.ndarray]:
    """Return residuals that are the signal times the last flag seen: no linear map finds them."""
    last = np.where(x[:, 1] == 0, 0, np.arange(len(x)))
    mode = x[np.maximum.accumulate(last), 1]
    rng = np.random.default_rng(1)
    left = noise * rng.normal(size=(len(x), HORIZON, TAGS))
    shape = np.exp(-np.arange(HORIZON) / 3)[:, None] * np.array([1.0, -0.5])
    residual = (mode * x[:, 0])[:, None, None] * shape + left
    residual[5::50] = np.nan
    return lambda origins: residual[origins].astype(np.float32)


def easy(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return residuals that are the signal itself, which a few steps of training find."""
    noise = np.random.default_rng(1).normal(size=(len(x), HORIZON, TAGS))
    residual = x[:, :1, None] + 0.3 * noise
    return lambda origins: residual[origins].astype(np.float32)


def fit(
    x: np.ndarray, residual, *, config: ResidualConfig = SMALL, seed: int = 0, starts=(0,)
) -> SelectiveResidual:
    cut, end = int(0.7 * len(x)), len(x) - HORIZON
    return SelectiveResidual(config, random_state=seed).fit(
        x,
        residual,
        train_rows=np.arange(cut - HORIZON),
        valid_rows=np.arange(cut, end),
        starts=np.array(starts),
        horizon=HORIZON,
    )


@pytest.fixture(scope="module")
def fitted() -> tuple[SelectiveResidual, np.ndarray]:
    x = readings(3000)
    return fit(x, switching(x), starts=(0, 1000)), x


def test_a_residual_that_needs_selection_is_corrected(fitted) -> None:
    """On new readings the correction takes most of what a linear forecast cannot explain."""
    model, _ = fitted
    x = readings(1000, seed=7)
    residual = switching(x, noise=0.0)(np.arange(20, 900))
    corrected = residual - model.expand(model.correct(x)[0])[20:900]
    there = np.isfinite(residual)
    assert model.kept_ and model.gain_ > 0.2
    assert np.abs(corrected[there]).mean() < 0.5 * np.abs(residual[there]).mean()


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65])
def test_steps_and_chunks_equal_the_whole(fitted, size: int) -> None:
    """One row at a time, or in chunks, gives the whole record's coefficients and state, exactly."""
    model, x = fitted
    whole, last = model.correct(x[:150])
    state, parts = None, []
    for begin in range(0, 150, size):
        part, state = model.correct(x[begin : begin + size][: 150 - begin], state)
        parts.append(part)
    assert np.array_equal(np.concatenate(parts), whole)
    assert state is not None and all(np.array_equal(state[name], last[name]) for name in last)
    assert not np.array_equal(whole[1:], whole[:-1])  # a shift would be seen


def test_later_rows_change_no_earlier_correction(fitted) -> None:
    """Nothing looks ahead."""
    model, x = fitted
    other = x[:80].copy()
    other[40:] = 9.0
    found, changed = model.correct(x[:80])[0], model.correct(other)[0]
    assert np.array_equal(found[:40], changed[:40])
    assert np.abs(found[40:] - changed[40:]).max() > 1e-2


def test_two_fits_are_equal_and_leave_the_global_generators_alone() -> None:
    """The seed decides, and nothing else: not what others drew before."""
    x = readings(900)
    residual = easy(x)
    torch_before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    first, second = (fit(x, residual, config=QUICK) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert first.arrays().keys() == second.arrays().keys()
    for name, value in first.arrays().items():
        assert np.array_equal(value, second.arrays()[name]), name
    assert first.kept_ and fit(x, residual, config=QUICK, seed=1).gain_ != first.gain_


def test_noise_is_not_corrected_at_all() -> None:
    """Where there is nothing to learn the correction is not kept and is exactly zero."""
    x = readings(1500)
    noise = np.random.default_rng(3).normal(size=(1500, HORIZON, TAGS))
    model = fit(x, lambda origins: noise[origins], config=QUICK)
    coefficients, state = model.correct(x)
    assert not model.kept_
    assert coefficients.shape == (1500, 4, TAGS) and not coefficients.any()
    assert state == {}
    assert not model.expand(coefficients).any()


@pytest.mark.parametrize("rows", [8, 60, 299])
def test_few_rows_are_not_learned_from(rows: int) -> None:
    """Under 300 rows nothing is tried and nothing breaks."""
    x = readings(rows)
    model = fit(x, switching(x))
    assert not model.kept_ and model.gain_ == 0.0
    assert not model.correct(x)[0].any()


def test_no_allowed_origin_is_no_error() -> None:
    """Empty train and validation rows end in no correction."""
    x = readings(400)
    none = np.array([], int)
    model = SelectiveResidual(SMALL).fit(
        x, switching(x), train_rows=none, valid_rows=none, starts=[0], horizon=HORIZON
    )
    assert not model.kept_ and not model.correct(x)[0].any()


@pytest.mark.parametrize("kept", [True, False])
def test_arrays_bring_back_the_same_corrections(fitted, kept: bool) -> None:
    """What is saved corrects as before, from a dictionary of settings too."""
    if kept:
        model, x = fitted
    else:
        x = readings(200)
        model = fit(x, switching(x))
    again = SelectiveResidual.from_arrays(SMALL.to_dict(), model.arrays())
    assert (again.kept_, again.gain_) == (model.kept_, model.gain_) == (kept, model.gain_)
    assert np.array_equal(again.correct(x)[0], model.correct(x)[0])
    assert np.array_equal(again.basis_, model.basis_)


def test_a_saved_correction_runs_without_torch(fitted, tmp_path: Path) -> None:
    """Only training needs it: a loaded correction starts and steps on numpy and numba alone."""
    model, x = fitted
    np.savez(tmp_path / "arrays.npz", **model.arrays())
    (tmp_path / "config.json").write_text(json.dumps(SMALL.to_dict()))
    np.save(tmp_path / "x.npy", x[:20])
    code = (
        "import json, sys, numpy as np\n"
        "from sensorssm.estimators.selective import SelectiveResidual\n"
        "arrays = dict(np.load('arrays.npz'))\n"
        "model = SelectiveResidual.from_arrays(json.load(open('config.json')), arrays)\n"
        "np.save('out.npy', model.correct(np.load('x.npy'))[0])\n"
        "assert 'torch' not in sys.modules\n"
    )
    roots = os.pathsep.join(path for path in sys.path if path)
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": roots},
        check=True,
    )
    assert np.array_equal(np.load(tmp_path / "out.npy"), model.correct(x[:20])[0])


def test_arrays_that_do_not_fit_are_refused(fitted) -> None:
    """A missing or foreign array is named."""
    arrays = fitted[0].arrays()
    with pytest.raises(ModelFileError, match="share"):
        SelectiveResidual.from_arrays(SMALL, {k: v for k, v in arrays.items() if k != "share"})
    with pytest.raises(ModelFileError, match="embed"):
        SelectiveResidual.from_arrays(ResidualConfig(), arrays)


def test_missing_and_wild_inputs_stay_finite_and_bounded(fitted) -> None:
    """NaN reads as 0, and no input makes a correction larger than training has seen."""
    model, x = fitted
    wild = x[:50].copy()
    wild[10:20] = np.nan
    wild[30] = 1e30
    wild[31] = np.inf
    coefficients, _ = model.correct(wild)
    assert np.isfinite(coefficients).all()
    assert (np.abs(coefficients) <= model.limit_ + 1e-6).all()
    zeroed, _ = model.correct(np.where(np.isfinite(wild), wild, 0.0))
    assert np.array_equal(coefficients, zeroed)


def test_other_columns_than_fitted_are_refused(fitted) -> None:
    """The error says how many were found and wanted."""
    with pytest.raises(ShapeError, match=r"3 columns.* 2"):
        fitted[0].correct(np.zeros((5, 3)))
    with pytest.raises(ShapeError, match="rows, features"):
        fitted[0].correct(np.zeros(5))
