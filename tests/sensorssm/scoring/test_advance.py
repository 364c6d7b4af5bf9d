"""The compiled cell against the same arithmetic written out with numpy, one idea a line."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.scoring import Cell, Options, Rows, advance, fit_cell, state_size, statistics_of
from sensorssm.scoring.evidence import evidence
from sensorssm.scoring.memory import remember
from sensorssm.scoring.watch import shifts

TAGS = 5


def _readings(rows: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    slow = rng.normal(size=(rows, 2)).cumsum(axis=0) * 0.1
    readings = slow @ rng.normal(size=(2, TAGS)) + rng.normal(size=(rows, TAGS))
    readings[:, 4] = (readings[:, 4] > 1.0) * 7.0  # a switch: it informs, it does not score
    return readings


@pytest.fixture(scope="module")
def cell() -> Cell:
    readings = _readings()
    keep = np.ones(len(readings), dtype=bool)
    rows = Rows(readings, np.ones(len(readings)), np.array([0]), keep)
    return fit_cell(rows, Options())[0]


def _level(cell: Cell, row: int, value: float) -> float:
    """Return -log10 p by numpy's own interpolation."""
    knots = cell.knots[row]
    inside = np.interp(value, knots, cell.levels[row])
    return float(inside + cell.slope[row] * max(value - knots[-1], 0.0))


def _slow_scores(cell: Cell, readings: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    """Score all rows with whole-history lists in place of a state."""
    scored = cell.scored > 0
    inverse = cell.precision
    past: list[np.ndarray] = []
    averages = np.zeros((len(cell.decay), TAGS))
    energies, scores, given_way = np.ones(len(cell.energy_gain)), [], []
    reference, recent, mean, stood = np.zeros(TAGS), np.zeros(TAGS), np.zeros(TAGS), 0
    let_go = 0
    for x, step in zip(readings, elapsed, strict=True):
        z = np.clip((x - cell.center) / cell.scale, -50, 50)
        here = np.isfinite(z)
        lagged = (past[::-1] + [np.zeros(TAGS)] * cell.lags)[: cell.lags]
        first = not past and not scores
        features = np.r_[np.concatenate(lagged), averages.ravel(), 0.0 if first else 1.0]
        ahead = np.clip(features @ cell.forecast, -50, 50)
        known = not first and step <= cell.lags + 0.5
        residual = np.where(here & scored & known, z - ahead, 0.0)
        if known and here[scored].any():
            lost = scored & ~here  # what the others' residuals say of the missing ones
            assert lost.sum() <= 1, "exact for one; two sweeps only come near for more"
            residual[lost] = -(inverse[lost] @ residual) / np.diag(inverse)[lost]
        filled = np.where(here, z, ahead + residual)
        if first or step > cell.lags + 0.5:
            past = [filled] * cell.lags
        else:
            past = [*past, filled][-cell.lags :]
        kept = cell.decay[:, None] ** step
        gain = np.maximum(1 - kept, 1 / (len(scores) + 1))
        averages = averages + gain * (filled - averages)
        if not here[scored].any():
            scores.append(np.nan)
            continue
        dof, off = (here & scored).sum(), residual - reference
        now = min(r @ inverse @ r for r in (residual, off)) / dof if known else 1.0
        energies = energies + cell.energy_gain * (now - energies)
        recent = recent + cell.recent_gain * (off - recent)
        mean = mean + cell.shift_gain * (off - mean)
        quiet = min(m @ inverse @ m for m in (mean, mean + reference)) <= cell.quiet
        stood = 0 if quiet else stood + 1
        apart = (recent - mean) @ inverse @ (recent - mean)
        if apart > cell.shift_limit:
            given_way.append(len(scores))
            mean, stood = recent - np.sqrt(cell.shift_limit / apart) * (recent - mean), 0
        if quiet or stood > cell.patience:
            reference = reference + cell.reference_gain * off
            let_go += not quiet
        lasting = min((mean, mean + reference), key=lambda m: m @ inverse @ m)
        values = [now, *energies, lasting @ cell.shift_precision @ lasting]
        levels = [_level(cell, c, np.log(max(v, 1e-12))) for c, v in enumerate(values)]
        scores.append(_level(cell, len(values), float(np.mean(levels))))
    assert given_way, "the wild value should have put the two means apart"
    assert let_go, "a shift should have outlasted the patience"
    return np.array(scores)


def _step_all(cell: Cell, readings: np.ndarray, elapsed: np.ndarray) -> np.ndarray:
    state, stats = np.zeros(state_size(cell)), np.empty(statistics_of(cell))
    expected, shares = np.empty(TAGS), np.empty(TAGS)
    return np.array(
        [
            advance(cell, state, row, step, expected, shares, stats)
            for row, step in zip(readings, elapsed, strict=True)
        ]
    )


def test_scores_are_those_of_the_definition(cell: Cell) -> None:
    """Gaps in time, missing readings, an empty row, a wild value; sums differ in order only."""
    readings, elapsed = _readings(300, seed=1), np.ones(300)
    rng = np.random.default_rng(2)
    lost = (rng.random(300) < 0.3) & (np.arange(300) > 0)
    readings[lost, rng.integers(0, TAGS, lost.sum())] = np.nan
    readings[0, 1] = np.nan
    readings[120] = np.nan
    readings[200, 0] = 1e9
    elapsed[[50, 90, 150]] = [2.0, 4.5, 40.0]
    cell = cell._replace(patience=10.0)
    expected = _slow_scores(cell, readings, elapsed)
    np.testing.assert_allclose(_step_all(cell, readings, elapsed), expected, rtol=1e-8, atol=1e-10)
    shifted = _slow_scores(cell, np.roll(readings, 1, axis=0), elapsed)
    assert not np.allclose(shifted, expected, rtol=1e-2, equal_nan=True)


def test_the_norm_of_a_row_with_missing_tags_is_near_that_of_the_tags_present(cell: Cell) -> None:
    """Between the norm with zeros put in and the exact marginal one, and nearer to the latter."""
    readings = _readings(60, seed=3)
    holed = readings.copy()
    holed[50, [0, 2]] = np.nan
    scored, there = np.flatnonzero(cell.scored), [1, 3]
    state, stats = np.zeros(state_size(cell)), np.empty(statistics_of(cell))
    expected, shares = np.empty(TAGS), np.empty(TAGS)
    for row in holed[:51]:
        advance(cell, state, row, 1.0, expected, shares, stats)
    residual = ((readings[50] - expected) / cell.scale)[there]
    covariance = np.linalg.inv(cell.precision[np.ix_(scored, scored)])
    inside = np.ix_([list(scored).index(i) for i in there], [list(scored).index(i) for i in there])
    exact = residual @ np.linalg.inv(covariance[inside]) @ residual / 2
    zeros = residual @ cell.precision[np.ix_(there, there)] @ residual / 2
    assert exact * (1 - 1e-9) <= np.exp(stats[0]) <= exact + 0.5 * (zeros - exact)


@pytest.mark.parametrize("rows", [1, 2, 7, 40])
def test_the_memory_holds_the_last_rows_and_decaying_averages(rows: int) -> None:
    """An average is the plain mean at first, then the recurrence; in time, not in rows."""
    rng = np.random.default_rng(rows)
    z, decay, lags = rng.normal(size=(rows, 2)), np.array([0.5, 0.9]), 3
    memory, average = np.zeros(2 * (lags + 2) + 1), np.zeros((2, 2))
    for t, row in enumerate(z):
        remember(memory, row, lags, decay, float(t), 1.0)
        average += np.maximum(1 - decay, 1 / (t + 1))[:, None] * (row - average)
    last = np.concatenate([z[::-1], np.tile(z[:1], (lags, 1))])[:lags]
    np.testing.assert_allclose(memory, np.r_[last.ravel(), average.ravel(), 1.0], atol=1e-12)


@pytest.mark.parametrize("elapsed", [2.0, 3.5, 500.0])
def test_an_average_forgets_by_elapsed_time(elapsed: float) -> None:
    memory = np.array([1.0, 1.0, 1.0])  # one lag, one average, the constant
    remember(memory, np.array([0.0]), 1, np.array([0.9]), 1e6, elapsed)
    assert memory[1] == pytest.approx(0.9**elapsed)


def test_the_table_lookup_is_linear_interpolation_with_a_straight_tail() -> None:
    knots, levels = np.array([-1.0, 0.0, 0.5, 3.0]), np.array([0.0, 0.2, 1.0, 2.0])
    at = np.linspace(-3.0, 3.0, 121)
    found = [evidence(knots, levels, 0.7, value) for value in at]
    np.testing.assert_allclose(found, np.interp(at, knots, levels), atol=1e-12)
    assert evidence(knots, levels, 0.7, 5.0) == pytest.approx(2.0 + 0.7 * 2.0)


def _long_means(cell: Cell, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    means, norms = np.empty_like(residual), np.empty((len(residual), 2))
    shifts(cell, residual, means, norms)
    return means, norms


def test_the_long_mean_soon_sees_a_large_shift_and_soon_forgets_it(cell: Cell) -> None:
    """A plain average of its length would be at 41 % after 21 rows, and at 33 % 41 rows after the end."""
    residual = np.zeros((400, TAGS))
    residual[100:200, 0] = 30.0
    means, _ = _long_means(cell, residual)
    assert means[120, 0] > 0.8 * 30.0
    assert abs(means[240, 0]) < 0.1 * 30.0


def test_the_long_mean_averages_a_small_shift_as_its_gain_says(cell: Cell) -> None:
    """Far from the limit and above `quiet` from the start, so that the reference stands still."""
    residual = np.zeros((60, TAGS))
    residual[:, 0] = 0.5
    still = cell._replace(quiet=-1.0)
    means, norms = _long_means(still, residual)
    assert (norms[:, 0] < cell.shift_limit).all()
    expected = 0.5 * (1.0 - (1.0 - cell.shift_gain) ** np.arange(1, 61))
    np.testing.assert_allclose(means[:, 0], expected, rtol=1e-12)


def test_a_steady_shift_is_let_go_and_so_is_its_end(cell: Cell) -> None:
    """After the patience the reference moves to it; no shift at all has stayed normal."""
    residual = np.zeros((4000, TAGS))
    residual[100:3000, 0] = 3.0
    means, _ = _long_means(cell, residual)
    waited = 100 + int(cell.patience)
    assert means[waited, 0] > 0.9 * 3.0
    assert abs(means[2999, 0]) < 0.1 * 3.0
    assert np.abs(means[3200:]).max() < 0.1 * 3.0
    for_ever, _ = _long_means(cell._replace(patience=1e9), residual)
    assert for_ever[2999, 0] > 0.9 * 3.0


def test_a_lasting_offset_is_blamed_on_its_own_tag(cell: Cell) -> None:
    """Though the forecasts of all other tags are off too, which read it from the memory."""
    for tag in np.flatnonzero(cell.scored):
        gain = cell.forecast[:-1].reshape(-1, TAGS, TAGS).sum(axis=0)[tag]
        offset = (np.eye(TAGS)[tag] - gain) * cell.scored
        assert ((offset @ cell.signature) ** 2).argmax() == tag
