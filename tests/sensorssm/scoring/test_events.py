"""Intervals from rows: delays, gaps, assets, and who moved first."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sensorssm.scoring import describe_events, find_events

ONE_ASSET = np.array([0])


def _slow(above: np.ndarray, on_delay: int, off_delay: int) -> list[list[int]]:
    """Walk the rows one by one: runs closer than `off_delay` join, short ones never open."""
    groups: list[list[int]] = []
    for t in np.flatnonzero(above):
        if groups and t - groups[-1][-1] - 1 < off_delay:
            groups[-1].append(int(t))
        else:
            groups.append([int(t)])
    found = []
    for rows in groups:
        longest = run = 1
        for before, now in itertools.pairwise(rows):
            run = run + 1 if now == before + 1 else 1
            longest = max(longest, run)
        if longest >= on_delay:
            found.append([rows[0], rows[-1] + 1])
    return found


@pytest.mark.parametrize("on_delay", [1, 2, 3])
@pytest.mark.parametrize("off_delay", [1, 2, 5])
def test_events_are_those_of_a_walk_over_the_rows(on_delay: int, off_delay: int) -> None:
    rng = np.random.default_rng(on_delay * 10 + off_delay)
    for rows in (0, 1, 2, 63, 400):
        above = rng.random(rows) < 0.3
        found = find_events(above, ONE_ASSET[:rows], on_delay=on_delay, off_delay=off_delay)
        assert found.tolist() == _slow(above, on_delay, off_delay)


def test_an_event_does_not_cross_into_the_next_asset() -> None:
    above = np.ones(6, dtype=bool)
    assert find_events(above, np.array([0, 4]), off_delay=3).tolist() == [[0, 4], [4, 6]]


def test_who_moved_first_is_not_who_is_blamed_most() -> None:
    scores = np.full(40, 5.0)
    shares = np.tile([0.1, 0.8, 0.1], (40, 1))
    shares[:10] = [0.0, 0.1, 0.9]
    (event,) = describe_events(np.array([[0, 40]]), scores, shares)
    assert (event.first_tag, event.tags[0]) == (2, 1)


def test_a_tag_without_a_share_is_not_blamed() -> None:
    shares = np.tile([0.7, 0.0, 0.3], (4, 1))
    (event,) = describe_events(np.array([[0, 4]]), np.full(4, 5.0), shares)
    assert event.tags == (0, 2)


def test_the_peak_is_the_largest_score_of_the_event() -> None:
    scores = np.array([9.0, 4.0, np.nan, 6.0, 5.0, 8.0])
    (event,) = describe_events(np.array([[1, 5]]), scores, np.full((6, 2), 0.5))
    assert event.peak == 3
