"""Hit@150 %: whether the most blamed tags are the causes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sensorssm.errors import ConfigError, DataError, ShapeError
from sensorssm.evaluation.causes import causes_found

BLAME = np.array([[9, 1, 1, 1], [5, 4, 3, 0], [1, 4, 3, 0.0]])


@pytest.mark.parametrize(
    ("anomalies", "found"),
    [
        ([(0, 1, {0})], 1.0),  # round(1.5) is 2 tags
        ([(1, 3, {2})], 0.0),  # means 3, 4, 3, 0: the second, and of equals the first
        ([(1, 3, {1, 2})], 1.0),  # three tags
        ([(1, 3, {1, 3})], 0.5),
        ([(0, 1, {0}), (1, 3, {1, 3})], 0.75),
    ],
)
def test_the_share_of_causes_among_the_most_blamed(anomalies: list, found: float) -> None:
    """As many tags count as there are causes, and half as many again, on the mean of the rows."""
    assert causes_found(BLAME, anomalies) == found


def test_a_smaller_share_looks_at_fewer_tags_but_at_one() -> None:
    """The most blamed tag alone."""
    assert causes_found(BLAME, [(1, 3, {0})], share=0.1) == 0.0
    assert causes_found(BLAME, [(1, 3, {1})], share=0.1) == 1.0


def test_nothing_to_find_is_not_a_number() -> None:
    """No anomaly, no share."""
    assert math.isnan(causes_found(BLAME, []))


@pytest.mark.parametrize(
    "wrong", [(0, 4, {0}), (2, 2, {0}), (0, 1, {4}), (0, 1, set()), (-1, 1, {0})]
)
def test_an_anomaly_that_is_not_there_is_refused(wrong: tuple) -> None:
    """Rows and columns beyond the array, or no cause, have no answer."""
    with pytest.raises(DataError, match="caused by"):
        causes_found(BLAME, [wrong])


def test_other_shapes_and_shares_are_refused() -> None:
    """One row alone is (1, M)."""
    with pytest.raises(ShapeError):
        causes_found(BLAME[0], [])
    for share in (0.0, np.inf):
        with pytest.raises(ConfigError):
            causes_found(BLAME, [], share=share)
