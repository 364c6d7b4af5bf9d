"""A readout across tags: the same for a row alone, bounded, and refused where it does not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sensorssm.errors import ModelFileError
from sensorssm.estimators.mixing import FARTHEST, Mixing


@pytest.fixture
def mixing() -> Mixing:
    """Return a readout of 5 inputs for 3 curves of 2 tags."""
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((5, 3, 2))
    return Mixing(
        rng.standard_normal(5), np.full(5, 2.0), weights, np.full((3, 2), 50.0), np.array([0.1])
    )


@pytest.fixture
def inputs() -> np.ndarray:
    """Return 40 rows of 7 inputs, of which the last 5 are read."""
    return np.random.default_rng(1).standard_normal((40, 7)).astype(np.float32)


def test_coefficients_are_products_of_compressed_scaled_inputs(
    mixing: Mixing, inputs: np.ndarray
) -> None:
    """The compiled loop gives what NumPy gives; the first inputs are not read."""
    x = (np.arcsinh(inputs[:, 2:].astype(float)) - mixing.centre) / 2.0
    wanted = np.tensordot(x, mixing.weights, axes=1)

    np.testing.assert_allclose(mixing(inputs), wanted, rtol=1e-12)
    other = inputs.copy()
    other[:, :2] = 9.0
    np.testing.assert_array_equal(mixing(other), mixing(inputs))


def test_a_row_alone_and_among_others_are_equal(mixing: Mixing, inputs: np.ndarray) -> None:
    """Online, where rows come one by one, the sums are the very same."""
    alone = np.concatenate([mixing(row[None]) for row in inputs])
    np.testing.assert_array_equal(alone, mixing(inputs))


def test_no_input_and_no_row_says_more_than_training_saw(mixing: Mixing) -> None:
    """A reading of a million is worth FARTHEST deviations, and coefficients end at the limit."""
    wild = np.zeros((1, 5), np.float32)
    wild[0, 0] = 1e6
    calm = wild.copy()
    calm[0, 0] = np.sinh(FARTHEST * 2.0 + mixing.centre[0] + 1e-3)
    np.testing.assert_allclose(mixing(wild), mixing(calm), rtol=1e-12)

    bound = replace(mixing, limit=np.full((3, 2), 0.1))
    assert np.abs(bound(wild)).max() == 0.1


def test_parts_come_back_and_other_sizes_are_refused(mixing: Mixing, inputs: np.ndarray) -> None:
    """What was taken apart forecasts alike; arrays that the loop could not trust raise."""
    arrays = mixing.to_arrays()
    again = Mixing.from_arrays(arrays, 7, 3, 2)
    np.testing.assert_array_equal(again(inputs), mixing(inputs))

    for most, curves, tags in ((4, 3, 2), (7, 4, 2), (7, 3, 1)):
        with pytest.raises(ModelFileError, match="wanted"):
            Mixing.from_arrays(arrays, most, curves, tags)
    with pytest.raises(ModelFileError, match=r"mixing\.weights"):
        Mixing.from_arrays(arrays | {"mixing.weights": np.zeros((5, 3, 1))}, 7, 3, 2)
