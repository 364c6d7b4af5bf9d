"""How far forecasts may leave the last reading: by its definition, in chunks, and where it matters."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.estimators.baselines import SeasonalNaive
from sensorssm.estimators.forecaster import SSMForecaster
from sensorssm.models.reach import HORIZONS, ROWS, Reach, ReachState
from sensorssm.models.reach_fold import DOUBT, FARTHEST, UNHEARD

KNOTS = np.array([1, 3, 8])


def made_up(rows: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return values, slots, last readings and points of two tags with holes and skipped slots."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, 2)).cumsum(axis=0)
    values[rng.random(values.shape) < 0.1] = np.nan
    slots = np.cumsum(rng.integers(1, 3, rows)).astype(float)
    last = np.nan_to_num(values) + 0.1
    points = last[:, :, None] + rng.standard_normal((rows, 2, 3))
    return values, slots, last, points


def reach_of(usual: float = 1.0) -> Reach:
    """Return a reach whose usual errors, moves and changes are alike."""
    return Reach(KNOTS, np.full((3, 2, 3), usual))


def fading(reach: Reach, given: tuple[np.ndarray, ...], tag: int, k: int, least: float):
    """Return the sums (n, 2) of one tag's and knot's moves beyond `least`, from all rows before."""
    values, slots, last, points = given
    keep, out = np.exp(-1.0 / (ROWS + HORIZONS * KNOTS[k])), []
    most = FARTHEST**2 * reach.usual[2, tag, k]
    for row in range(len(values)):
        sums = np.zeros(2)
        for later in range(row + 1):
            (made,) = np.nonzero(slots == slots[later] - KNOTS[k])
            if len(made) and np.isfinite(values[later, tag]) and np.isfinite(values[made[0], tag]):
                move = points[made[0], tag, k] - last[made[0], tag]
                change = values[later, tag] - last[made[0], tag]
                weight = min(most / max(move**2, change**2), 1.0) * (abs(move) > least)
                sums = keep * sums + weight * np.array([move * change, move**2])
        out.append(sums)
    return np.array(out)


def defined(reach: Reach, given: tuple[np.ndarray, ...], tag: int, k: int) -> np.ndarray:
    """Return what is told of one tag and knot after each row, in squares of its noise."""
    noise, least = reach.usual[0, tag] * KNOTS, UNHEARD * np.sqrt(reach.usual[1, tag])
    told = 1.0 / DOUBT**2 + fading(reach, given, tag, k, -1.0) / noise[k]
    for j in range(k):
        share = KNOTS[j] / KNOTS[k]
        told += share * fading(reach, given, tag, j, least[j]) / noise[j]
    return told * noise[k] / (ROWS + HORIZONS * KNOTS[k])


@pytest.mark.parametrize("usual", [1.0, 1e-1, 1e-3])
def test_the_compiled_loop_is_its_definition(usual: float) -> None:
    """Fading sums of moves and changes that both were read, far ones held to the farthest, and
    those of shorter steps that were unheard of."""
    reach, given = reach_of(usual), made_up(60)
    values, slots, last, points = given
    told = reach.advance(values, slots, last, points.copy(), reach.init_state())

    for tag in range(2):
        for k in range(3):
            wanted = defined(reach, given, tag, k)
            np.testing.assert_allclose(told[:, tag, k], wanted, rtol=1e-12)


def test_chunks_and_a_look_tell_the_same() -> None:
    """Cut anywhere, or looked at after the last row, the same bits come out."""
    reach, (values, slots, last, points) = reach_of(), made_up(50)
    whole = reach.advance(values, slots, last, points.copy(), reach.init_state())
    state: ReachState = reach.init_state()
    parts = []
    for cut in (slice(0, 1), slice(1, 30), slice(30, 50)):
        own = points[cut].copy()
        parts.append(reach.advance(values[cut], slots[cut], last[cut], own, state))

    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(reach.look(state)[0], whole[-1])


def test_without_evidence_no_bit_changes() -> None:
    """Before anything has matured, and for a tag that never moves, a forecast stays what it was."""
    point = np.random.default_rng(1).standard_normal((4, 8, 2))
    for usual in (1.0, 0.0):
        reach = reach_of(usual)
        told = np.repeat(reach.look(reach.init_state()), 4, axis=0)
        followed = reach.follow(point.copy(), np.ones((4, 2)), np.zeros((4, 2)), told)
        np.testing.assert_array_equal(followed, point)


def test_steps_between_knots_lie_between_their_sums() -> None:
    """A knot that hardly moves says little of its neighbours, however little of it came true."""
    reach, last, point = reach_of(), np.zeros((1, 2)), np.ones((1, 8, 2))
    told = np.ones((1, 2, 3, 2))
    told[:, :, 2] = [0.0, 1e-3]  # nothing came true of next to no moves
    waited = np.array([[0.0, 2.0]])  # the other tag was read two rows ago
    followed = reach.follow(point, last, waited, told)[0]

    np.testing.assert_array_equal(followed[:3, 0], 1.0)
    assert followed[7, 0] == 0.0 and np.all(followed[3:7, 0] > 0.99)
    np.testing.assert_array_equal(followed[:6, 1], followed[2:, 0])


def test_intervals_are_moved_not_widened() -> None:
    """Held back to the last reading, a forecast takes its quantiles along, each as far.

    A width that followed the nearness of the last reading made intervals of a tag that is mostly
    still, and was so in all it was fitted to, seven times too wide.
    """
    X = np.random.default_rng(2).standard_normal((300, 2))
    model = SSMForecaster(horizon=8, season=None).fit(X)._model
    seen = model.advance(X, np.ones(300), model.start(), np.array([200, 299]))
    nothing = seen.weighed.copy()
    nothing[..., 0] = 0.0  # nothing came true
    still, whole = seen._replace(weighed=nothing), seen._replace(weighed=np.ones_like(nothing))
    fans = [model.forecast(one, 8, (0.1, 0.5, 0.9)) for one in (still, whole)]
    points = [model.forecast(one, 8, None) for one in (still, whole)]

    np.testing.assert_array_equal(points[0], np.repeat(seen.features.last[:, None], 8, axis=1))
    moved = (points[0] - points[1])[..., None]
    assert np.abs(moved).max() > 0.1
    np.testing.assert_allclose(fans[0] - fans[1], np.repeat(moved, 3, axis=-1), atol=1e-12)


def test_a_lasting_step_is_followed() -> None:
    """A tag that leaves the only level that training knew is forecast about as by its last value.

    Without reach its forecasts kept falling back: 30 times the last value's squared error.
    """
    rng = np.random.default_rng(3)
    X = 0.1 * rng.standard_normal((700, 1))
    X[320:] += 1.0
    model = SSMForecaster(horizon=1, season=None).fit(X[:300])
    naive = SeasonalNaive(season=1, horizon=1).fit(X[:300])
    origins = np.arange(330, 600)
    errors = [
        np.mean((one.forecast_from(X, origins)[:, 0] - X[origins + 1]) ** 2)
        for one in (model, naive)
    ]
    assert errors[0] < errors[1]


def test_a_step_never_seen_is_believed_before_its_horizon_was_read() -> None:
    """Twelve rows after a step, forecasts 24 ahead no longer fall back to where training was."""
    X = 0.1 * np.random.default_rng(4).standard_normal((400, 1))
    X[320:] += 1.0
    model = SSMForecaster(horizon=24, season=None).fit(X[:300])
    first, later = model.forecast_from(X, [320, 332])[:, -1, 0]
    assert first < 0.2 and later > 0.6
