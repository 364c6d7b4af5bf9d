"""What forecasters share: rows of several assets are read on together, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from sensorssm.errors import DataError
from sensorssm.estimators import DLinear, SSMForecaster

VERBS: list[tuple[Callable[[], Any], str]] = [
    (lambda: SSMForecaster(horizon=4, season=None), "update"),
    (lambda: SSMForecaster(horizon=4, season=None), "partial_fit"),
    (lambda: DLinear(horizon=4), "update"),
]


def table(first: int, rows: int, late: int = 0) -> pl.DataFrame:
    """Return rows of two assets, a minute apart; those of "b" start `late` minutes too early."""
    parts = []
    for asset, behind in (("a", 0), ("b", late)):
        at = np.arange(first, first + rows)
        time = np.datetime64("2026-01-05", "us") + (at - behind) * np.timedelta64(60, "s")
        noise = np.random.default_rng(first).normal(size=rows)
        parts.append(pl.DataFrame({"asset": asset, "time": time, "x": np.sin(at / 5) + noise / 9}))
    return pl.concat(parts)


@pytest.mark.parametrize(("make", "verb"), VERBS)
def test_one_bad_asset_moves_no_other(make: Callable[[], Any], verb: str) -> None:
    """Rows of "b" that start before its end are refused, and "a" has read nothing either.

    Reading the corrected rows then gives what a model gives that never saw the bad ones.
    """
    tried, fresh = (make().fit(table(0, 300)) for _ in range(2))
    before = tried.forecast(asset="a").to_numpy()
    with pytest.raises(DataError, match="asset 'b' start"):
        getattr(tried, verb)(table(300, 20, late=60))
    np.testing.assert_array_equal(tried.forecast(asset="a").to_numpy(), before)

    for model in (tried, fresh):
        getattr(model, verb)(table(300, 20))
    for asset in ("a", "b"):
        np.testing.assert_array_equal(
            tried.forecast(asset=asset).to_numpy(), fresh.forecast(asset=asset).to_numpy()
        )
