"""The rolling-origin backtest against a plain loop over origins."""

from __future__ import annotations

import numpy as np
import pytest

from sensorssm.errors import ConfigError, DataError
from sensorssm.estimators.baselines import EWMA, SeasonalNaive
from sensorssm.evaluation import (
    backtest,
    crps_by_origin,
    diebold_mariano,
    naive_scale,
    rolling_origins,
)


@pytest.fixture
def readings(rng: np.random.Generator) -> np.ndarray:
    """Return 300 rows of two tags with a season of 12 and some holes."""
    rows = np.arange(300)
    values = np.stack([np.sin(rows * np.pi / 6), np.cos(rows * np.pi / 6)], axis=1)
    values += 0.1 * rng.standard_normal(values.shape)
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def test_backtest_is_the_loop_over_origins(readings: np.ndarray) -> None:
    """Batches of origins and masked holes change nothing against judging one origin at a time."""
    models = {
        "naive": SeasonalNaive(season=12, horizon=8).fit(readings[:200]),
        "mean": EWMA(span=5, horizon=8).fit(readings[:200]),
    }
    table = backtest(models, readings, horizon=8, first=200, stride=3, season=12, batch=7)

    assert table["model"] == ["naive", "mean"]
    for row, model in enumerate(models.values()):
        errors, inside, pinball = [], [], []
        for origin in range(200, 292, 3):
            told = model.forecast_from(readings[: origin + 1], [origin], 8)[0]
            fan = model.forecast_from(readings[: origin + 1], [origin], 8, np.arange(1, 10) / 10)[0]
            truth = readings[origin + 1 : origin + 9]
            known = np.isfinite(truth)
            errors += list((truth - told)[known])
            inside += list(((truth >= fan[..., 0]) & (truth <= fan[..., -1]))[known])
            miss = truth[..., None] - fan
            level = np.arange(1, 10) / 10
            pinball += list(np.maximum(level * miss, (level - 1) * miss)[known])
        assert table["mse"][row] == pytest.approx(np.mean(np.square(errors)))
        assert table["mae"][row] == pytest.approx(np.mean(np.abs(errors)))
        assert table["coverage"][row] == pytest.approx(np.mean(inside))
        assert table["pinball"][row] == pytest.approx(np.mean(pinball))
        assert table["crps"][row] == pytest.approx(2 * np.mean(pinball))
        size = np.nanmean(np.abs(readings[np.arange(200, 292, 3)[:, None] + np.arange(1, 9)]))
        assert table["wql"][row] == pytest.approx(table["crps"][row] / size)


def test_rivals_are_tested_against_the_first(readings: np.ndarray) -> None:
    """`dm` is the test of the two models' losses, correlated over the origins that share targets."""
    models = {
        "naive": SeasonalNaive(season=12, horizon=8).fit(readings[:200]),
        "mean": EWMA(span=5, horizon=8).fit(readings[:200]),
    }
    table = backtest(models, readings, horizon=8, first=200, stride=3, season=12, batch=7)
    origins, level = np.arange(200, 292, 3), np.arange(1, 10) / 10
    truth = readings[origins[:, None] + np.arange(1, 9)]
    scale = naive_scale(readings[:201], 12)
    naive, mean = (
        crps_by_origin(
            truth / scale, m.forecast_from(readings, origins, 8, level) / scale[:, None], level
        )
        for m in models.values()
    )
    wanted = diebold_mariano(mean, naive, overlap=3)  # 8 steps, every third: three share one

    assert (table["dm"][0], table["dm_p"][0]) == (0.0, 1.0)
    assert table["dm"][1] == pytest.approx(wanted.statistic)
    assert table["dm_p"][1] == pytest.approx(wanted.p_value)
    assert wanted.statistic > 0


def test_one_origin_proves_nothing(readings: np.ndarray) -> None:
    """A single origin is judged; against the first, others are not known to be better."""
    models = {span: EWMA(span=span, horizon=8).fit(readings[:200]) for span in (5, 20)}
    table = backtest(models, readings, horizon=8, origins=[250])

    assert np.all(np.isfinite(table["crps"]))
    np.testing.assert_array_equal(table["dm"], [0.0, np.nan])
    np.testing.assert_array_equal(table["dm_p"], [1.0, np.nan])


def test_origins_leave_room_for_the_horizon() -> None:
    """The last origin's last step is the last row, and purged rows are skipped."""
    np.testing.assert_array_equal(rolling_origins(10, 3, first=2, stride=2), [2, 4, 6])
    np.testing.assert_array_equal(rolling_origins(10, 3, first=2, purge=3), [5, 6])
    with pytest.raises(DataError, match="no origin"):
        rolling_origins(10, 10)


def test_origins_past_the_end_are_refused(readings: np.ndarray) -> None:
    """An origin whose horizon leaves the rows is an error, not a shorter judgement."""
    model = SeasonalNaive(season=12, horizon=8).fit(readings)
    with pytest.raises(ConfigError, match="leave the 300 rows"):
        backtest(model, readings, horizon=8, origins=[295])
