"""Charts as SVG: every extreme is drawn, gaps stay gaps, and the picture parses."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from sensorssm_pipelines.jobs.drawing import HEIGHT, WIDTH, chart

START = datetime(2026, 1, 5, tzinfo=UTC)
STEP = timedelta(minutes=5)


def drawn(values: np.ndarray, **more: object) -> ElementTree.Element:
    times = [START + k * STEP for k in range(len(values))]
    span = (START, START + max(len(values) - 1, 1) * STEP)
    return ElementTree.fromstring(chart(times, [("seen", values)], span=span, **more))


def points(svg: ElementTree.Element) -> list[tuple[str, float, float]]:
    path = next(part for part in svg.iter("path") if part.get("class") == "seen").get("d") or ""
    found = re.findall(r"([ML])([-\d.]+) ([-\d.]+)", path)
    return [(kind, float(x), float(y)) for kind, x, y in found]


def test_a_line_runs_from_edge_to_edge_and_stays_inside() -> None:
    found = points(drawn(np.array([1.0, 3.0, 2.0])))
    assert [kind for kind, *_ in found] == ["M", "L", "L"]
    assert found[0][1] < found[1][1] < found[2][1] == WIDTH
    low, high, middle = (y for *_, y in found)
    assert 0 <= high < middle < low <= HEIGHT


def test_a_gap_is_not_bridged() -> None:
    found = points(drawn(np.array([1.0, 2.0, np.nan, 2.0, 1.0])))
    assert [kind for kind, *_ in found] == ["M", "L", "M", "L"]


def test_one_spike_among_many_readings_is_drawn_to_its_top() -> None:
    """Twenty thousand readings become some thousand points, and the spike is one of them."""
    values = np.zeros(20_000)
    values[12_345] = 9.0
    found = points(drawn(values))
    assert len(found) < 2_000
    assert min(y for *_, y in found) == points(drawn(np.array([0.0, 9.0])))[1][2]


@pytest.mark.parametrize(
    "values",
    [np.full(5, np.nan), np.zeros(0), np.full(3, 7.0), np.array([-1e308, 1e308]), np.ones(1)],
    ids=["unknown", "none", "constant", "huge", "one"],
)
def test_odd_readings_make_a_picture_without_warnings(values: np.ndarray) -> None:
    assert all(0 <= y <= HEIGHT for *_, y in points(drawn(values)))


def test_a_fault_is_shaded_and_an_alarm_ruled_within_the_picture() -> None:
    """A fault that began before the picture is shaded from its edge."""
    svg = drawn(np.arange(9.0), marked=(START - STEP, START + 4 * STEP), at=START + 8 * STEP)
    [band] = svg.iter("rect")
    left, width = float(band.get("x") or -1), float(band.get("width") or -1)
    assert left > 0 and left + width == pytest.approx((left + WIDTH) / 2, abs=0.1)
    [rule] = [part for part in svg.iter("path") if part.get("class") == "alarm"]
    assert (rule.get("d") or "").startswith(f"M{WIDTH:.1f} ")
