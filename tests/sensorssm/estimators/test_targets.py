"""What comes after a row: on a grid, with rows left out, and on a jittered clock."""

from __future__ import annotations

import numpy as np

from sensorssm.estimators.targets import Targets

LINE = np.arange(20.0)[:, None] * 10


def test_on_a_grid_targets_are_the_next_rows() -> None:
    """Steps 1..3 after a row are the next three rows, unknown past the end."""
    targets = Targets.of(LINE, np.ones(20))

    np.testing.assert_array_equal(
        targets.after(np.array([0, 17]), 3, 0), [[10, 20, 30], [180, 190, np.nan]]
    )
    assert targets.origins(3) == 17


def test_rows_left_out_are_unknown_targets() -> None:
    """Where rows were dropped, the steps that fell on them are unknown and the others right."""
    kept = np.r_[0:5, 8:20]
    elapsed = np.ones(len(kept))
    elapsed[5] = 4.0
    targets = Targets.of(LINE[kept], elapsed)

    found = targets.after(np.array([3]), 6, 0)
    np.testing.assert_array_equal(found, [[40, np.nan, np.nan, np.nan, 80, 90]])


def test_short_holes_are_bridged_where_asked_for() -> None:
    """A hole of two steps lies on the line between its ends; one of nine stays unknown."""
    holes = LINE.copy()
    holes[[3, 4]] = np.nan
    holes[8:17] = np.nan
    found = Targets.of(holes, np.ones(20), bridge=8.0).after(np.array([0, 7]), 6, 0)

    np.testing.assert_array_equal(found[0], [10, 20, 30, 40, 50, 60])
    assert np.isnan(found[1]).all()


def test_a_jittered_clock_is_read_between_its_ticks() -> None:
    """On a straight line, readings a bit early or late give the values of the exact steps."""
    rng = np.random.default_rng(0)
    position = np.arange(20) + np.r_[0.0, rng.uniform(-0.2, 0.2, 19)]
    targets = Targets.of(10 * position[:, None], np.r_[1.0, np.diff(position)])

    found = targets.after(np.array([4]), 5, 0)
    np.testing.assert_allclose(found[0], 10 * (position[4] + np.arange(1, 6)))


def test_a_tag_without_readings_has_no_targets() -> None:
    """All steps of a tag that was never read are unknown."""
    targets = Targets.of(np.full((9, 1), np.nan), np.r_[1.0, np.full(8, 1.5)])
    assert np.isnan(targets.after(np.array([0, 4]), 4, 0)).all()
