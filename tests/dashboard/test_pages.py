"""What every page obeys, on every store we can think of."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from sensorssm_dashboard import views
from sensorssm_pipelines.store import Store

PAGES = [module.name for module in pkgutil.iter_modules(views.__path__)]
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")


def times(n: int) -> list[datetime]:
    return [NOON + timedelta(minutes=10 * i) for i in range(n)]


def named(store: Store) -> None:
    store.write_assets(pl.DataFrame({"asset": ["P-1"]}))


def one_reading(store: Store) -> None:
    """One instant of one tag, and its score."""
    named(store)
    row = {"asset": ["P-1"], "time": [NOON]}
    store.write_readings(pl.DataFrame({**row, "tag": ["T"], "value": [1.0], "quality": [0]}))
    store.write_scores(pl.DataFrame({**row, "model": ["m"], "score": [0.5], "threshold": [1.0]}))
    store.write_latest(pl.DataFrame({**row, "score": [0.5], "threshold": [1.0]}))


def nothing_known(store: Store) -> None:
    """Rows are there, but every value, score, threshold and share is null."""
    named(store)
    n = 50
    rows = pl.DataFrame({"asset": "P-1", "time": times(n), "tag": "T"})
    unknown = pl.lit(None, dtype=pl.Float64)
    store.write_readings(rows.with_columns(value=unknown, quality=pl.lit(2)))
    store.write_explanations(rows)
    store.write_scores(rows.select("asset", "time", model=pl.lit("m"), score=unknown))
    store.write_latest(rows.tail(1).select("asset", "time", state=pl.lit("HOLD")))


def extremes(store: Store) -> None:
    """Infinities, subnormals and numbers at the edge of what a float holds."""
    named(store)
    odd = [float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 0.0, 1e-300]
    rows = pl.DataFrame({"asset": "P-1", "time": times(len(odd)), "tag": "T", "value": odd})
    store.write_readings(rows.with_columns(quality=pl.lit(0)))
    store.write_explanations(rows.with_columns(expected="value", contribution="value"))
    store.write_scores(
        rows.select("asset", "time", model=pl.lit("m"), score="value", threshold=pl.lit(1.0))
    )
    store.write_latest(rows.tail(1).select("asset", "time", score="value"))


def bare_alarms(store: Store) -> None:
    """Alarms of which only the key is known, of an unknown state, or of the distant future."""
    one_reading(store)
    store.write_alarms(pl.DataFrame({"id": ["a", "b"], "asset": ["P-1", "P-1"], "opened": NOON}))
    odd = {
        "id": ["c"],
        "asset": ["P-1"],
        "opened": [datetime(2999, 1, 1, tzinfo=UTC)],
        "state": ["LATCHED"],
        "priority": ["?"],
    }
    store.write_alarms(pl.DataFrame(odd))


def orphans(store: Store) -> None:
    """Rows of assets that the table of assets does not name."""
    one_reading(store)
    store.write_alarms(pl.DataFrame({"id": ["x"], "asset": ["GHOST"], "opened": [NOON]}))
    label = {"asset": ["GHOST"], "started": [NOON], "ended": [NOON], "kind": ["leak"]}
    store.write_labels(pl.DataFrame(label))
    store.write_tags(pl.DataFrame({"asset": ["P-1"], "tag": ["SILENT"], "unit": ["bar"]}))
    store.write_metrics(
        pl.DataFrame({"run": "r", "asset": "GHOST", "model": "m", "metric": "x", "value": [None]},
                     schema_overrides={"value": pl.Float64})
    )  # fmt: skip


def many_tags(store: Store) -> None:
    """Three hundred tags, more than a page draws."""
    named(store)
    tags = pl.DataFrame({"tag": [f"T-{i:03}" for i in range(300)]})
    rows = pl.DataFrame({"asset": "P-1", "time": times(6)}).join(tags, how="cross")
    rows = rows.with_columns(value=pl.lit(1.0), expected=pl.lit(1.0), contribution=pl.lit(1 / 300))
    store.write_explanations(rows)
    store.write_readings(rows.select("asset", "time", "tag", "value", quality=pl.lit(0)))
    store.write_scores(
        rows.select("asset", "time", model=pl.lit("m"), score=pl.lit(0.1)).unique(["time"])
    )


def odd_times(store: Store) -> None:
    """Readings of 1970 and of 2099 in one store, and a run that never ended."""
    named(store)
    both = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)]
    row = {"asset": ["P-1"] * 2, "time": both}
    store.write_readings(pl.DataFrame({**row, "tag": "T", "value": 1.0, "quality": 0}))
    store.write_scores(pl.DataFrame({**row, "model": "m", "score": 0.1, "threshold": 1.0}))
    store.write_latest(pl.DataFrame(row).tail(1))
    store.write_runs(pl.DataFrame({"run": ["r"], "started": [NOON], "status": ["RUNNING"]}))


def odd_skill(store: Store) -> None:
    """A backtest of which nothing is known, of one model alone, at one step, without levels."""
    one_reading(store)
    unknown = pl.DataFrame({"run": ["r"], "asset": "P-1", "model": "m", "tag": "T", "step": 1})
    nan = {"mae": pl.lit(float("nan")), "pinball": pl.lit(None, pl.Float64), "readings": pl.lit(0)}
    store.write_skill(unknown.with_columns(**nan))


def odd_levels(store: Store) -> None:
    """Errors of zero and beyond all bounds; levels that pair with none, or are not known."""
    odd_skill(store)
    known = {"mae": [0.0, 1e308], "pinball": [0.0, 1e308], "readings": [5, 2**62]}
    rows = pl.DataFrame({"model": ["SSM", "<b>=x"], **known})
    place = {"run": pl.lit("r"), "asset": pl.lit("P-1"), "tag": pl.lit("T")}
    store.write_skill(rows.with_columns(step=pl.lit(10**6), **place))
    shares = pl.DataFrame({"level": [0.3, 0.5, 0.9], "below": [0.3, None, 2.0], "readings": 1})
    store.write_calibration(shares.with_columns(model=pl.lit("SSM"), **place))


STORES: list[Callable[[Store], None]] = [
    lambda store: None, named, one_reading, nothing_known, extremes, bare_alarms, orphans,
    many_tags, odd_times, odd_skill, odd_levels,
]  # fmt: skip


def test_every_page_is_here() -> None:
    """A page that is added is put through all of this without being listed."""
    assert set(PAGES) >= {"overview", "asset", "alarms", "quality", "models", "runs"}


@pytest.mark.parametrize("fill", STORES, ids=lambda f: f.__name__.strip("<>"))
@pytest.mark.parametrize("name", PAGES)
def test_no_store_breaks_a_page(tmp_path: Path, open_page, name: str, fill) -> None:
    """There is one title, something is said, and nothing is raised."""
    store = Store(tmp_path / "store")
    fill(store)
    page = open_page(name, store)
    assert not page.exception, page.exception[0].message
    assert not page.error
    assert len(page.title) == 1 or page.info


@pytest.mark.parametrize("name", PAGES)
def test_every_chart_says_in_words_what_it_shows(build_store, open_page, name: str) -> None:
    """A reader who cannot see the chart is told what it is."""
    page = open_page(name, build_store())
    assert all(chart.proto.alt for chart in page.get("vega_lite_chart"))


@pytest.mark.parametrize("name", PAGES)
def test_no_page_changes_the_store(build_store, open_page, name: str) -> None:
    """Looking leaves every table as it was."""
    store = build_store()
    before = {table: getattr(store, f"read_{table}")() for table in ("alarms", "latest", "runs")}
    open_page(name, store)
    for table, rows in before.items():
        assert getattr(store, f"read_{table}")().equals(rows)
