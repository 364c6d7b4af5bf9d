"""The linear memory: equal to its definition, however it is cut, whatever is missing."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.models.memory import Features, Gate, Memory
from sensorssm.models.memory_plan import plan_memory

PLAN = plan_memory((12,), rows=4000, lags=4)


def slow_features(memory: Memory, values: np.ndarray, elapsed: np.ndarray) -> dict[str, np.ndarray]:
    """Return the features of one tag at its last reading, straight from the definition.

    The memory of a pole is the sum over readings of gain * x * pole**(time since), in complex
    numbers, and centring subtracts the level from each reading before that sum, not after it.
    """
    known = np.isfinite(values)
    time = np.cumsum(elapsed)[known]
    x, age = values[known], time[-1] - time
    level_weight = np.exp(-age / memory.level_tau)
    level = (level_weight * x).sum() / level_weight.sum()
    gain = 1 - np.exp(-1 / memory.tau)
    pole = np.exp(np.outer(age, -1 / memory.tau + 2j * np.pi * memory.frequency))
    state = gain * ((x - level) @ pole)
    return {"level": level, "re": state.real, "im": state.imag[: memory.oscillating]}


def run(memory: Memory, values: np.ndarray, elapsed: np.ndarray, **options: object) -> Features:
    """Return the features of every row of (n, M) values, from an empty state."""
    start = memory.init_state(np.zeros(values.shape[1]))
    return memory.run(values, elapsed, start, **options)[0]  # pyright: ignore[reportArgumentType]


@pytest.fixture
def readings(rng: np.random.Generator) -> np.ndarray:
    """Return 130 rows of three tags far from 0, a fifth of them missing."""
    values = 50 + rng.standard_normal((130, 3)).cumsum(axis=0)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0] = 50.0
    return values


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 130])
@pytest.mark.parametrize("clock", ["regular", "uneven"])
def test_features_are_the_definition(
    readings: np.ndarray, rng: np.random.Generator, rows: int, clock: str
) -> None:
    """The fold gives the sums that define the memory, centred exactly in spite of the gaps."""
    elapsed = np.ones(rows) if clock == "regular" else rng.uniform(0.3, 4.0, rows)
    features = run(PLAN, readings[:rows], elapsed)

    for tag in range(3):
        wanted = slow_features(PLAN, readings[:rows, tag], elapsed)
        found = features.z[tag, -1]
        poles = len(PLAN.tau)
        # float64 sums of up to 130 terms around 50: 1e-10 is 100 times their rounding, and the
        # features themselves are of order 1. The prior level weighs 1e-9 of a reading.
        np.testing.assert_allclose(features.level[-1, tag], wanted["level"], atol=1e-6)
        np.testing.assert_allclose(found[:poles], wanted["re"], atol=1e-6)
        np.testing.assert_allclose(found[poles : PLAN.last_column], wanted["im"], atol=1e-6)


@pytest.mark.parametrize("cuts", [(1,), (64,), (1, 2, 3, 129)])
@pytest.mark.parametrize("gate", [False, True])
def test_chunks_are_the_whole(readings: np.ndarray, cuts: tuple[int, ...], gate: bool) -> None:
    """Any cuts, with the state carried on, give the same bits as one pass."""
    weights = np.full((3, PLAN.feature_count), 0.01)
    options = {"gate": Gate(weights, 3.0)} if gate else {}
    whole = run(PLAN, readings, np.ones(130), **options)

    state, parts = PLAN.init_state(np.zeros(3)), []
    for part in np.split(readings, cuts):
        features, state = PLAN.run(part, np.ones(len(part)), state, **options)
        parts.append(features.z)

    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole.z)


def test_a_dropped_row_is_a_missing_one(readings: np.ndarray) -> None:
    """Leaving rows out and saying how long it was equals keeping them with nothing read."""
    holes = readings.copy()
    holes[40:47] = np.nan
    kept = np.r_[0:40, 47:130]
    elapsed = np.ones(len(kept))
    elapsed[40] = 8.0

    missing = run(PLAN, holes, np.ones(130))
    dropped = run(PLAN, readings[kept], elapsed)

    # pole**8 against eight multiplications: rounding only.
    np.testing.assert_allclose(dropped.z[:, -1], missing.z[:, -1], atol=1e-10)
    np.testing.assert_array_equal(dropped.recent[-1], missing.recent[-1])


def test_a_missing_reading_only_makes_a_tag_wait(readings: np.ndarray) -> None:
    """Rows without a reading of a tag leave its features as they were, and count the steps."""
    values, elapsed = readings[:60].copy(), np.ones(60)
    values[50:, 1] = np.nan
    elapsed[55] = 2.6
    features = run(PLAN, values, elapsed)

    last = np.flatnonzero(np.isfinite(values[:, 1]))[-1]
    for part in (features.z[1], *(column[:, 1] for column in features[1:4])):
        np.testing.assert_array_equal(part[last:], np.repeat(part[last, None], 60 - last, axis=0))
    waited = np.cumsum(elapsed)[last:] - np.cumsum(elapsed)[last]
    np.testing.assert_array_equal(features.waited[last:, 1], np.round(waited))
    assert not features.waited[np.isfinite(values)].any()


def test_features_move_with_the_unit(readings: np.ndarray) -> None:
    """Features of a x + b are a times those of x: the level takes b away."""
    one = run(PLAN, readings, np.ones(130))
    other = run(PLAN, 1.8 * readings + 32, np.ones(130))

    # The prior level is not moved along; it weighs a billionth of a reading.
    np.testing.assert_allclose(other.z[:, 5:], 1.8 * one.z[:, 5:], atol=1e-5)


def test_run_leaves_the_callers_state_alone(readings: np.ndarray) -> None:
    """`run` returns a new state and writes nothing into the one it was given."""
    state = PLAN.init_state(np.zeros(3))
    before = state.copy()
    PLAN.run(readings, np.ones(130), state)

    for old, new in zip(before, state, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_gap_of_years_ends_in_finite_features(readings: np.ndarray) -> None:
    """After a gap in which every memory has faded, features are finite and the level is kept."""
    elapsed = np.ones(130)
    elapsed[100] = 1e7
    holes = readings.copy()
    holes[100:] = np.nan
    features = run(PLAN, holes, elapsed)

    assert all(np.isfinite(part).all() for part in features)
    np.testing.assert_allclose(features.level[100], features.level[99])


def test_the_gate_distrusts_a_spike_and_believes_a_shift(rng: np.random.Generator) -> None:
    """One wild reading hardly moves the gated memory; a level that stays is let in."""
    calm = 0.1 * rng.standard_normal((300, 1))
    weights = np.zeros((1, PLAN.feature_count))
    weights[0, PLAN.last_column] = 1.0  # the one-step forecast is the last reading
    gate = Gate(weights, width=4.0)
    spiked, shifted = calm.copy(), calm.copy()
    spiked[250] += 20
    shifted[250:] += 20

    def last(values: np.ndarray, row: int) -> float:
        features = run(PLAN, values, np.ones(300), gate=gate)
        return float(features.z[0, row, PLAN.last_column] + features.level[row, 0])

    assert abs(last(spiked, 250)) < 1.0
    assert last(shifted, 260) == pytest.approx(20, abs=1.0)


@pytest.mark.parametrize(("seasons", "rows"), [((), 30), ((7,), 40), ((24, 168), 700), ((), 5)])
def test_few_rows_get_few_poles(seasons: tuple[int, ...], rows: int) -> None:
    """A plan never has more poles than a twentieth of its rows, but four, nor slower than rows."""
    memory = plan_memory(seasons, rows, lags=3)

    assert len(memory.tau) <= max(4, rows // 20)
    assert memory.ring >= max((3, *seasons))
    assert memory.tau.max(initial=0.0) <= max(rows / 3, 2.0)
