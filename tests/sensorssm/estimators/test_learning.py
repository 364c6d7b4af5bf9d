"""What a pass over the readings adds to the sums that a readout is solved from."""

from __future__ import annotations

import numpy as np

from sensorssm.estimators.learning import MOST_WEIGHT, Lesson, Series, asset_weights, learn
from sensorssm.models.memory_plan import plan_memory


def test_a_row_without_a_reading_teaches_nothing(rng: np.random.Generator) -> None:
    """A tag that is read in every other row gives half the lessons of one that always is."""
    values = rng.standard_normal((400, 2))
    values[1::2, 1] = np.nan
    lesson = Lesson(plan_memory((), 400, lags=4), seasons=(), horizon=2, start=np.zeros(2))

    always, half = learn(lesson, [Series(values, np.ones(400), 400)]).sums.rows.sum(axis=0)
    assert abs(half - always / 2) <= 3


def test_assets_count_by_their_own_variance() -> None:
    """Three times the size is a ninth of the weight; still, lonely and unread assets are no matter."""
    wave = np.sin(np.arange(300.0))[:, None] * [1.0, 1.0]
    still, unread = wave * [0.0, 1.0], wave * [np.nan, 1.0]
    small, large = (Series(x, np.ones(300), 300) for x in (wave, 3.0 * wave + 50.0))
    weights = asset_weights([small, large])
    np.testing.assert_allclose(weights[0], 9.0 * weights[1])
    np.testing.assert_allclose(weights[0], 5.0)  # a mean square of 5 over its own of 1

    np.testing.assert_array_equal(asset_weights([small]), np.ones((1, 2)))
    np.testing.assert_array_equal(asset_weights([Series(still, np.ones(300), 300)])[0], np.ones(2))
    for odd in (still, unread):
        found = asset_weights([small, Series(odd, np.ones(300), 300)])
        np.testing.assert_allclose(found, [[0.5, 1.0], [MOST_WEIGHT, 1.0]])


def test_a_large_asset_does_not_speak_for_all(rng: np.random.Generator) -> None:
    """The sums of a fleet are those of assets brought to one size."""
    waves = [np.sin(np.arange(400.0) * pace)[:, None] for pace in (0.3, 0.9)]
    waves = [wave + 0.1 * rng.standard_normal((400, 1)) for wave in waves]
    lesson = Lesson(plan_memory((), 400, lags=4), seasons=(), horizon=2, start=np.zeros(1))

    def shares(sizes: tuple[float, float]) -> np.ndarray:
        made = [Series(size * x, np.ones(400), 400) for size, x in zip(sizes, waves, strict=True)]
        sums = learn(lesson, made).sums
        return sums.zz[0, 0] / np.trace(sums.zz[0, 0])

    np.testing.assert_allclose(shares((1.0, 1.0)), shares((1.0, 8.0)), atol=1e-9)
