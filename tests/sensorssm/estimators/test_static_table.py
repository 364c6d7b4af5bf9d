"""Numbers of assets are read by name, and refused where they are no such numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sensorssm.errors import DataError
from sensorssm.estimators.static_table import StaticTable


def test_numbers_come_in_the_order_of_their_names() -> None:
    table = StaticTable.read({"a": {"kW": 5, "age": 2.0}, "b": {"age": 1, "kW": np.float64(7.5)}})
    assert table.names == ("kW", "age")
    np.testing.assert_array_equal(table.of(["b", "a"]), [[7.5, 1.0], [5.0, 2.0]])


def test_later_numbers_replace_earlier_ones() -> None:
    table = StaticTable.read({"a": {"kW": 5.0}, "b": {"kW": 6.0}})
    later = table.joined(StaticTable.read({"b": {"kW": 7.0}, "c": {"kW": 8.0}}, table.names))
    np.testing.assert_array_equal(later.of("abc"), [[5.0], [7.0], [8.0]])
    np.testing.assert_array_equal(table.of("ab"), [[5.0], [6.0]])


@pytest.mark.parametrize(
    ("static", "match"),
    [
        ([1.0, 2.0], "static is list"),
        ({}, "numbers of each asset"),
        ({"a": 5.0}, "static has 0 numbers, wanted 1 to 4"),
        ({"a": {}}, "static has 0 numbers"),
        ({"a": dict.fromkeys("vwxyz", 1.0)}, "static has 5 numbers"),
        ({"a": {"kW": 1.0}, "b": {"age": 1.0}}, r"static of asset 'b' has \['age'\]"),
        ({"a": {"kW": 1.0}, "b": 2.0}, "static of asset 'b' has 2.0"),
        ({"a": {"kW": float("nan")}}, "none missing"),
        ({"a": {"kW": None}}, "wanted numbers"),
        ({"a": {"kW": "large"}}, "wanted numbers"),
        ({"a": {"kW": -1e200}}, r"at most 1e\+150"),
        ({"a": {"kW": 10**400}}, "wanted numbers"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(static: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        StaticTable.read(static)


def test_fitted_names_are_wanted_again() -> None:
    with pytest.raises(DataError, match=r"wanted \['kW'\]"):
        StaticTable.read({"c": {"kg": 3.0}}, ("kW",))
