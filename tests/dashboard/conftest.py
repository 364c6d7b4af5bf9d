"""Small stores with known content for the pages, written through the store's own methods."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from sensorssm_pipelines.store import Store

START = datetime(2026, 1, 5, tzinfo=UTC)
PERIOD = timedelta(minutes=10)
TAGS = (
    ("FI-101", "m3/h", "Feed flow", 42.0, 3.0),
    ("PI-101", "bar", "Discharge pressure", 6.2, 0.3),
    ("TI-101", "Cel", "Bearing temperature", 58.0, 4.0),
    ("VI-101", "mm/s", "Vibration", 2.1, 0.25),
)
BEHIND = ("SSMForecaster", "VI-101")
BuildStore = Callable[..., Store]


@pytest.fixture(scope="session")
def plant_writer() -> BuildStore:
    """Return `write_plant`, for stores that outlive one test."""
    return write_plant


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that gives the folder of a store, written once for the same arguments."""
    return lru_cache(
        lambda **wanted: write_plant(tmp_path_factory.mktemp("template") / "store", **wanted).path
    )


@pytest.fixture
def build_store(tmp_path: Path, templates: Callable[..., Path]) -> BuildStore:
    """Return a function that gives a plant's store of one's own; see `write_plant`."""

    def build(name: str = "store", **wanted: Any) -> Store:
        shutil.copytree(templates(**wanted), tmp_path / name)
        return Store(tmp_path / name)

    return build


def write_plant(
    path: Path,
    *,
    assets: tuple[str, ...] = ("P-101", "P-102"),
    days: int = 10,
    start: datetime = START,
    first_tag: str = "TI-101",
    scored: bool = True,
    process: str | None = "replay",
    wall: datetime | None = None,
) -> Store:
    """Write a store in which each asset runs calmly but for one fault, found by one alarm.

    `scored` false leaves out everything that needs a model; `process` and `wall` are the
    heartbeat's; `first_tag` renames the tag of the fault, to hostile text for example.
    """
    store = Store(path)
    time = pl.datetime_range(
        start, start + timedelta(days=days), PERIOD, closed="left", time_unit="us", eager=True
    )
    store.write_assets(
        pl.DataFrame({"asset": assets, "description": "Cooling water pump", "model": "ssm"})
    )
    for number, asset in enumerate(assets):
        _write_asset(store, asset, number, time, first_tag, scored)
    store.write_runs(_run(start, len(time) * len(assets)))
    if scored:
        _write_skill(store, assets)
    if process is not None:
        now = wall or datetime(2026, 3, 1, tzinfo=UTC)
        store.write_heartbeat(
            pl.DataFrame({"process": [process], "event_time": time[-1:], "wall_time": [now]})
        )
    return store


def _write_asset(
    store: Store, asset: str, number: int, time: pl.Series, first_tag: str, scored: bool
) -> None:
    n, rng, late = len(time), np.random.default_rng(number), number % 2
    fault = slice(int(n * (0.55 + 0.2 * late)), int(n * (0.65 + 0.2 * late)))
    day = np.sin(np.arange(n) * (2 * np.pi * (PERIOD / timedelta(days=1))))
    frames = []
    for tag, _unit, _about, level, width in TAGS:
        is_first = tag == "TI-101"
        expected = level + width * day
        value = expected + rng.normal(0, width / 8, n)
        if is_first:
            value[fault] += np.linspace(0, 2 * width, fault.stop - fault.start)
        value[n // 4 : n // 4 + 30] = np.nan
        share = np.full(n, 0.15)
        share[fault] = 0.85 if is_first else 0.05
        frames.append(
            pl.DataFrame(
                {
                    "asset": asset,
                    "time": time,
                    "tag": first_tag if is_first else tag,
                    "value": value,
                    "expected": expected,
                    "lower": expected - width / 2,
                    "upper": expected + width / 2,
                    "contribution": share,
                }
            )
        )
    rows = pl.concat(frames)
    names = [first_tag if tag == "TI-101" else tag for tag, *_ in TAGS]
    store.write_tags(
        pl.DataFrame(
            {
                "asset": asset,
                "tag": names,
                "unit": [t[1] for t in TAGS],
                "description": [t[2] for t in TAGS],
            }
        )
    )
    quality = pl.when(pl.col("value").is_nan()).then(2).otherwise(0).alias("quality")
    store.write_readings(rows.select("asset", "time", "tag", "value", quality))
    if scored:
        _write_results(store, asset, rows, time, fault, first_tag)


def _write_results(
    store: Store, asset: str, rows: pl.DataFrame, time: pl.Series, fault: slice, first_tag: str
) -> None:
    n, rng = len(time), np.random.default_rng(7)
    store.write_explanations(rows)
    score = np.abs(rng.normal(0.3, 0.12, n))
    score[fault] += np.linspace(0.4, 2.4, fault.stop - fault.start)
    score[n // 4 : n // 4 + 30] = np.nan
    scores = pl.DataFrame(
        {
            "asset": asset,
            "time": time,
            "model": "ssm",
            "score": score,
            "threshold": 1.0,
            "p_value": np.exp(-score),
            "is_anomaly": score > 1,
        }
    )
    store.write_scores(scores)
    store.write_latest(
        scores.tail(1).select("asset", "time", "score", "threshold", state=pl.lit("NORMAL"))
    )
    opened, cleared = time[fault.start + 20], time[fault.stop]
    is_first = asset.endswith("1")
    store.write_alarms(
        pl.DataFrame(
            {
                "id": [f"{asset}:score:{opened:%Y%m%dT%H%M}"],
                "asset": [asset],
                "rule": ["score"],
                "priority": ["high" if is_first else "medium"],
                "state": ["OPEN" if is_first else "CLEARED"],
                "opened": [opened],
                "cleared": [None if is_first else cleared],
                "peak_score": [float(np.nanmax(score))],
                "p_value": [1e-4],
                "first_tag": [first_tag],
                "tags": [json.dumps([first_tag, "VI-101"])],
                "message": [f"{first_tag} runs above what the model expects"],
            },
            schema_overrides={"cleared": pl.Datetime("us", "UTC")},
        )
    )
    store.write_labels(
        pl.DataFrame(
            {
                "asset": [asset],
                "started": [time[fault.start]],
                "ended": [time[fault.stop]],
                "kind": ["bearing"],
                "tag": [first_tag],
                "source": ["simulator"],
            }
        )
    )
    store.write_metrics(
        pl.DataFrame(
            {
                "run": "run-1",
                "asset": asset,
                "model": ["SSMForecaster", "EWMA", "SSMForecaster", "EWMA"],
                "metric": ["MASE", "MASE", "pinball", "pinball"],
                "value": [0.71, 1.0, 0.21, 0.34],
            }
        )
    )
    _write_forecast(store, asset, rows, time)


def _write_skill(store: Store, assets: tuple[str, ...]) -> None:
    """Write a backtest in which the better model is behind on one tag: the vibration."""
    steps, levels = range(1, 25), [round(0.1 * k, 1) for k in range(1, 10)]
    models = {"SSMForecaster": 0.1, "EWMA": 0.15}
    rows = [
        (asset, model, tag, step, base * (step**0.3) * (2 if (model, tag) == BEHIND else 1))
        for asset in assets
        for model, base in models.items()
        for tag, *_ in TAGS
        for step in steps
    ]
    errors = pl.DataFrame(rows, schema=["asset", "model", "tag", "step", "pinball"], orient="row")
    known = {"run": pl.lit("run-1"), "readings": pl.lit(200)}
    store.write_skill(errors.with_columns(mae=pl.col("pinball") * 2.5, **known))
    shares = [(a, m, t, q, q) for a in assets for m in models for t, *_ in TAGS for q in levels]
    columns = ["asset", "model", "tag", "level", "below"]
    store.write_calibration(
        pl.DataFrame(shares, schema=columns, orient="row").with_columns(**known)
    )


def _write_forecast(store: Store, asset: str, rows: pl.DataFrame, time: pl.Series) -> None:
    origin, steps = time[-145], np.arange(1, 97)
    for (tag,), part in rows.group_by("tag", maintain_order=True):
        ahead = part.slice(len(time) - 144, 96)
        width = np.sqrt(steps) * 0.02 * ahead["expected"].mean()
        store.write_forecasts(
            pl.DataFrame(
                {
                    "asset": asset,
                    "origin": origin,
                    "step": steps,
                    "time": ahead["time"],
                    "tag": tag,
                    "q10": ahead["expected"] - width,
                    "q50": ahead["expected"],
                    "q90": ahead["expected"] + width,
                }
            )
        )


def _run(start: datetime, rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "run": ["run-1"],
            "recipe": ["demo"],
            "started": [start],
            "ended": [start + timedelta(minutes=2)],
            "status": ["done"],
            "rows_in": [rows + 120],
            "rows_out": [rows],
            "deduplicated": [80],
            "quarantined": [30],
            "late": [10],
            "report": ["{}"],
        }
    )


@pytest.fixture(autouse=True)
def no_deprecated_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn Streamlit's deprecation notes, which are only logged, into errors."""
    from streamlit import deprecation_util

    def refuse(message: str) -> None:
        raise AssertionError(f"deprecated in Streamlit: {message}")

    monkeypatch.setattr(deprecation_util._LOGGER, "warning", refuse)


def _run_page(name: str, path: str) -> None:
    from importlib import import_module

    from sensorssm_pipelines.store import Store

    import_module(f"sensorssm_dashboard.views.{name}").page(Store(path, read_only=True))


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """Return a function that runs one page on a store, with query parameters, without a server."""

    def opened(name: str, store: Store, **query: str) -> AppTest:
        page = AppTest.from_function(_run_page, args=(name, str(store.path)), default_timeout=30)
        for key, value in query.items():
            page.query_params[key] = value
        return page.run()

    return opened
