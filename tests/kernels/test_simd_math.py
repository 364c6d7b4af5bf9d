"""The vector functions of the CPU kernels: against numpy in float64, over the range they see."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from sensorssm_kernels import simd, simd_math


@njit
def _apply(x, y, out):
    for i in range(0, len(x), 16):
        lanes, turn = simd.load(x, i), simd.load(y, i)
        simd.store(out[0], i, simd_math.exp2(lanes))
        simd.store(out[1], i, simd_math.softplus(lanes))
        simd.store(out[2], i, simd_math.sigmoid(lanes))
        simd.store(out[3], i, simd_math.cos_turns(lanes, turn))
        simd.store(out[4], i, simd_math.sin_turns(lanes, turn))


def apply(x: np.ndarray, turn: float = 1.0) -> np.ndarray:
    """Return exp2, softplus, sigmoid, cos and sin of x, one row each."""
    out = np.empty((5, len(x)), np.float32)
    _apply(x, np.full_like(x, turn), out)
    return out


def test_relative_errors_stay_under_three_units() -> None:
    """Softplus and sigmoid keep their digits where they are tiny: 2.2e-7 at most was measured."""
    x = np.linspace(-80, 80, 64_000).astype(np.float32)
    wide = x.astype(np.float64)
    truth = np.exp2(wide), np.logaddexp(0, wide), np.exp(-np.logaddexp(0, -wide))
    for found, exact in zip(apply(x), truth, strict=False):
        assert (np.abs(found - exact) / exact).max() < 3e-7


@pytest.mark.parametrize("turn", [1.0, 3.7])
def test_angles_keep_their_digits(turn: float) -> None:
    """A step times turns of many circles gives cos and sin of the exact product."""
    x = np.linspace(-40, 40, 64_000).astype(np.float32)
    angle = 2 * np.pi * (x.astype(np.float64) * np.float32(turn))
    for found, exact in zip(apply(x, turn)[3:], (np.cos(angle), np.sin(angle)), strict=True):
        assert np.abs(found - exact).max() < 1e-6


def test_extremes_saturate_and_nan_stays() -> None:
    """Nothing overflows into a wrong number, and a NaN is never turned into one."""
    x = np.array([np.nan, np.inf, -np.inf, 200.0, -200.0, *[0.0] * 11], np.float32)
    powers, softened, halves = apply(x)[:3]
    assert np.isnan([powers[0], softened[0], halves[0]]).all()
    np.testing.assert_array_equal(powers[[1, 3]], np.inf)
    np.testing.assert_array_equal(softened[[1, 3]], [np.inf, 200.0])
    np.testing.assert_array_equal(halves[[1, 3]], 1.0)
    for tiny in (powers, softened, halves):
        assert (tiny[[2, 4]] < 1.2e-38).all()
        assert (tiny[[2, 4]] >= 0).all()
