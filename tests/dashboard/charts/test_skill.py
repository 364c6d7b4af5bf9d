"""The charts of skill: what is drawn, how strongly, and beside which line of honesty."""

from __future__ import annotations

from typing import Any

import polars as pl

from sensorssm_dashboard import palette
from sensorssm_dashboard.charts.skill import coverage_curve, error_by_step

MODELS = ["ssm", "ewma"]
STEPS = pl.DataFrame(
    {"model": ["ssm"] * 3 + ["ewma"] * 3, "step": [1, 2, 3] * 2, "pinball": [1.0, 2, 3, 4, 5, 6]}
)
COVERED = pl.DataFrame(
    {"model": ["ssm", "ssm", "ewma"], "asked": [0.2, 0.8, 0.8], "measured": [0.25, 0.7, 0.9]}
)


def marks(chart: Any, kind: str) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    spec = chart.to_dict()
    return [
        (layer["encoding"], spec["datasets"][layer.get("data", spec.get("data"))["name"]])
        for layer in spec["layer"]
        if layer["mark"]["type"] == kind
    ]


def test_the_first_model_is_drawn_strong_and_none_in_an_alarms_colour() -> None:
    [(encoding, rows)] = marks(error_by_step(STEPS, MODELS), "line")
    assert {row["model"]: row["width"] for row in rows} == {"ssm": 2.4, "ewma": 1.3}
    assert encoding["color"]["scale"]["domain"] == MODELS
    alarming = {look.colour for look in palette.PRIORITIES.values()}
    assert not alarming & set(palette.SERIES)
    assert encoding["color"]["scale"]["range"] == list(palette.SERIES[:2])


def test_more_models_than_colours_start_over() -> None:
    many = [f"m{k}" for k in range(len(palette.SERIES) + 1)]
    rows = pl.DataFrame({"model": many, "step": 1, "pinball": 1.0})
    [(encoding, _)] = marks(error_by_step(rows, many), "line")
    colours = encoding["color"]["scale"]["range"]
    assert len(colours) == len(many) and colours[0] == colours[-1]


def test_every_reading_of_the_table_is_in_the_chart() -> None:
    """Nothing is thinned or averaged on the way, and the axis shows zero: losses are compared."""
    [(encoding, rows)] = marks(error_by_step(STEPS, MODELS), "line")
    assert [(r["model"], r["step"], r["pinball"]) for r in rows] == STEPS.rows()
    assert encoding["y"]["scale"]["zero"] is True
    assert encoding["x"]["axis"]["tickMinStep"] == 1


def test_coverage_stands_beside_the_diagonal_on_equal_axes() -> None:
    chart = coverage_curve(COVERED, MODELS)
    (_, honest), (encoding, rows) = marks(chart, "line")
    assert [(row["asked"], row["measured"]) for row in honest] == [(0, 0), (1, 1)]
    assert [(r["model"], r["asked"], r["measured"]) for r in rows] == COVERED.rows()
    assert encoding["x"]["scale"]["domain"] == encoding["y"]["scale"]["domain"] == [0, 1]
