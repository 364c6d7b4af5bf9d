"""Units: a quantity is the same in each of its units, and two quantities never mix."""

from __future__ import annotations

import pytest

from sensorssm_pipelines.ingest.units import conversion


@pytest.mark.parametrize(
    ("value", "found", "wanted", "expected"),
    [
        (100.0, "kPa", "bar", 1.0),
        (1.0, "bar", "[psi]", 14.503773773),
        (0.0, "Cel", "K", 273.15),
        (212.0, "[degF]", "Cel", 100.0),
        (-40.0, "[degF]", "Cel", -40.0),
        (36.0, "m3/h", "L/s", 10.0),
        (6.0, "L/min", "L/s", 0.1),
        (7.0, "furlong", "furlong", 7.0),
        (212.0, "°F", "°C", 100.0),
        (3.0, "m³/h", "m3/h", 3.0),
    ],
)
def test_known_pairs(value: float, found: str, wanted: str, expected: float) -> None:
    pair = conversion(found, wanted)
    assert pair is not None
    assert pair[0] * value + pair[1] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("found", "wanted"), [("bar", "Cel"), ("bar", "furlong"), ("", "bar")])
def test_what_does_not_compare_is_not_converted(found: str, wanted: str) -> None:
    assert conversion(found, wanted) is None
