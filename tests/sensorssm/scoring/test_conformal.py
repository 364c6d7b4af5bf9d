"""Online quantiles: the tracker against a plain loop, coverage under shifts, order and levels."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.errors import ConfigError
from sensorssm.scoring.conformal import (
    LEVELS,
    RATE,
    WIDE,
    Conformal,
    check_levels,
    fit_offsets,
)
from sensorssm.scoring.dispersion import WAYS, Context, Dispersion, knots_of

HORIZON = 6


def plain_dispersion(tags: int) -> Dispersion:
    """Return a scale of 1 and a middle at the point, whatever the context."""
    knots = knots_of(HORIZON)
    none, weights = np.zeros(tags), np.zeros((tags, 1 + WAYS))
    size = np.zeros((tags, len(knots)))
    return Dispersion(knots, np.ones((tags, 1)), none + 1.0, weights, size, weights, none)


def context(rows: int, waited: np.ndarray | None = None) -> Context:
    """Return a context of two tags that says nothing."""
    none = np.zeros((rows, 2))
    waited = none if waited is None else waited
    return Context(none, none[:, :, None], np.ones((rows, 2, 1)), waited)


@pytest.fixture
def conformal(rng: np.random.Generator) -> Conformal:
    """Return offsets of 500 standard normal residuals of two tags."""
    return Conformal(fit_offsets(rng.standard_normal((500, HORIZON, 2))), plain_dispersion(2))


def advance(
    conformal: Conformal, values: np.ndarray, slots: np.ndarray | None = None, moved: float = 0.0
):
    """Run the tracker over forecasts of 0 and return the width after every row."""
    rows, tags = values.shape
    knots = len(conformal.dispersion.knots)
    slots = np.arange(rows, dtype=float) if slots is None else slots
    return conformal.advance(
        values,
        slots,
        np.zeros((rows, tags, knots)),
        np.full((rows, tags, knots), moved),
        Context(values, values[:, :, None], np.ones((rows, tags, 1)), values),
        conformal.init_state(),
        np.arange(rows),
    )


def test_a_moved_forecast_is_judged_where_it_was_moved_to(
    conformal: Conformal, rng: np.random.Generator
) -> None:
    """Readings that moved as far are missed as often; those that did not, more often."""
    values = rng.standard_normal((60, 2))
    found, both = advance(conformal, values), advance(conformal, values + 3.0, moved=3.0)

    np.testing.assert_array_equal(both, found)
    assert np.all(advance(conformal, values, moved=3.0)[-1] > found[-1])


def test_the_tracker_is_the_sum_of_matured_misses(
    conformal: Conformal, rng: np.random.Generator
) -> None:
    """Each matured reading widens by what it and the other tags missed; no other one counts.

    Nor does one of a tag that was not read where the forecast was made.
    """
    values = 1.5 * rng.standard_normal((40, 2)) + 1
    values[10, 0] = np.nan
    found = advance(conformal, values)

    for k, knot in enumerate(conformal.dispersion.knots):
        offset = conformal.offsets[:, knot - 1].astype(float)
        middle, width = offset[:, LEVELS == 0.5], np.zeros(2)
        for row in range(knot, 40):
            quantile = middle + (offset - middle) * np.exp(width[:, None])
            value = values[row, :, None]
            outside = (value < quantile) | (value > quantile[:, ::-1])
            wide, narrow = outside[:, LEVELS == 0.1][:, 0], outside[:, LEVELS == 0.3][:, 0]
            surprise = (wide - 0.2) / 2 + (narrow - 0.6) / 2
            there = np.isfinite(values[row]) & np.isfinite(values[row - knot])
            others = surprise[::-1] if there.all() else 0.0
            width += RATE / np.sqrt(knot) * np.where(there, surprise + others, 0.0)
            np.testing.assert_allclose(found[row, :, k], width, atol=1e-12)


def test_one_tag_alone_moves_by_its_own_misses(rng: np.random.Generator) -> None:
    """Without others a miss of both intervals widens by the rate times 0.6."""
    alone = Conformal(fit_offsets(rng.standard_normal((500, HORIZON, 1))), plain_dispersion(1))

    assert advance(alone, np.array([[0.0], [9.0]]))[1, 0, 0] == pytest.approx(0.6 * RATE, rel=1e-12)


def test_slots_that_were_skipped_judge_nothing(conformal: Conformal) -> None:
    """A reading whose origin, h steps before, is not on the grid moves no width at h."""
    values = np.full((3, 2), 9.0)
    found = advance(conformal, values, slots=np.array([0.0, 2.0, 5.0]))

    assert list(conformal.dispersion.knots[found[-1, 0] != 0]) == [2, 3, 5]


def test_coverage_returns_after_a_shift(conformal: Conformal, rng: np.random.Generator) -> None:
    """When residuals become twice as wide, intervals widen until they cover 80 % again."""
    values = 2.0 * rng.standard_normal((6000, 2))
    width = advance(conformal, values)
    levels = np.array([0.1, 0.9])
    fan = conformal.quantiles(np.zeros((6000, HORIZON, 2)), context(6000), width, levels)

    def coverage(first: int, last: int) -> float:
        inside = [
            (values[first + h : last + h] >= fan[first:last, h - 1, :, 0])
            & (values[first + h : last + h] <= fan[first:last, h - 1, :, 1])
            for h in range(1, HORIZON + 1)
        ]
        return float(np.mean(inside))

    assert coverage(0, 50) < 0.65
    assert coverage(3000, 5990) == pytest.approx(0.8, abs=0.03)


def test_offsets_of_few_residuals_hold_as_many_as_they_say(rng: np.random.Generator) -> None:
    """Nineteen residuals of 4,000 tags: 80 % of the twentieth lie inside, not the 75 % of between."""
    residuals = rng.standard_normal((20, 1, 4000))
    offsets = fit_offsets(residuals[:19])[:, 0]
    low, high = (offsets[:, place] for place in WIDE)
    held = np.mean((low < residuals[19, 0]) & (residuals[19, 0] < high))
    assert held == pytest.approx(0.8, abs=0.02)  # three standard errors


def test_quantiles_are_ordered_and_read_between_levels(conformal: Conformal) -> None:
    """Quantiles rise with the level, and one between two kept levels lies between their values."""
    width = np.full((1, 2, len(conformal.dispersion.knots)), 0.7)
    levels = np.array([0.05, 0.1, 0.15, 0.2, 0.9])
    fan = conformal.quantiles(np.zeros((1, 4, 2)), context(1), width, levels)

    assert fan.shape == (1, 4, 2, 5)
    assert np.all(np.diff(fan, axis=-1) >= 0)


def test_steps_that_were_waited_count_as_steps_ahead(conformal: Conformal) -> None:
    """A tag last read two steps ago is as uncertain as two steps later, at most as at the end."""
    width = np.linspace(0, 1, len(conformal.dispersion.knots))[None, None].repeat(2, axis=1)
    point, levels = np.zeros((1, HORIZON, 2)), np.array([0.1, 0.9])
    waiting = context(1, waited=np.array([[0.0, 2.0]]))
    fresh = conformal.quantiles(point, context(1), width, levels)
    late = conformal.quantiles(point, waiting, width, levels)

    np.testing.assert_array_equal(late[:, :, 0], fresh[:, :, 0])
    np.testing.assert_array_equal(late[:, :, 1], fresh[:, [2, 3, 4, 5, 5, 5], 1])


@pytest.mark.parametrize("quantiles", [(), (0.0, 0.5), (0.5, 1.0), (0.9, 0.1), (0.5, 0.5), "a"])
def test_levels_that_make_no_sense_are_refused(quantiles: object) -> None:
    """Levels must rise strictly and lie between 0 and 1."""
    with pytest.raises((ConfigError, ValueError)):
        check_levels(quantiles)
