"""The door for data: every kind of table gives the same window, and bad tables a clear error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sensorssm.errors import DataError, ShapeError
from sensorssm.frames import like, open_table, to_window

START = datetime(2026, 1, 5, tzinfo=UTC)


def _polars(minutes: list[int] | None = None) -> pl.DataFrame:
    minutes = [0, 5, 10, 20] if minutes is None else minutes
    return pl.DataFrame(
        {
            "time": [START + timedelta(minutes=m) for m in minutes],
            "flow": [1, 2, None, 4][: len(minutes)],
            "pressure": [0.5, 0.6, 0.7, 0.8][: len(minutes)],
        }
    )


KINDS = {
    "polars": lambda: _polars(),
    "lazy": lambda: _polars().lazy(),
    "pandas": lambda: _polars().to_pandas(),
    "pandas-index": lambda: _polars().to_pandas().set_index("time"),
    "arrow": lambda: _polars().to_arrow(),
    "record-batch": lambda: _polars().to_arrow().to_batches()[0],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_same_window(kind: str) -> None:
    """Values, gaps, times and names do not depend on the library the table came from."""
    window = to_window(KINDS[kind]())
    np.testing.assert_array_equal(window.values, [[1, 0.5], [2, 0.6], [np.nan, 0.7], [4, 0.8]])
    assert window.names == ("flow", "pressure")
    assert window.period_s == 300
    np.testing.assert_array_equal(window.elapsed, [1, 1, 1, 2])
    assert window.time is not None
    assert window.time[0] == int(START.timestamp()) * 10**9
    assert window.values.flags.c_contiguous


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("polars", pl.DataFrame),
        ("lazy", pl.DataFrame),
        ("pandas", pd.DataFrame),
        ("arrow", pa.Table),
    ],
)
def test_answers_come_back_in_the_callers_kind(kind: str, answer: type) -> None:
    """A frame in, the same library's frame out."""
    assert isinstance(like(KINDS[kind](), {"score": [1.0, 2.0]}), answer)
    stacked = like(np.zeros((2, 2)), {"a": [1, 2], "b": [3, 4]})
    np.testing.assert_array_equal(stacked, [[1, 3], [2, 4]])


@pytest.mark.parametrize(
    "times",
    [
        np.array(["2026-01-05T00:00", "2026-01-05T00:05"], dtype="datetime64[m]"),
        [START, START + timedelta(minutes=5)],
        pd.date_range("2026-01-05 01:00", periods=2, freq="5min", tz="Europe/Zurich"),
        pl.Series([START, START + timedelta(minutes=5)]),
        np.array([START.timestamp(), START.timestamp() + 300]),
        np.array([int(START.timestamp()), int(START.timestamp()) + 300]) * 10**9,
    ],
    ids=["numpy", "datetimes", "pandas zone", "polars", "float seconds", "int nanoseconds"],
)
def test_times_of_every_kind_are_utc_nanoseconds(times: object) -> None:
    """However a time is written, the window holds the same instant."""
    window = to_window(np.zeros((2, 1)), times=times)
    assert window.time is not None
    assert window.time.tolist() == [
        int(START.timestamp()) * 10**9 + k * 300 * 10**9 for k in (0, 1)
    ]


def test_assets_are_numbered_and_their_first_rows_known() -> None:
    """Each asset's time starts anew: its first row has one elapsed step."""
    frame = pl.concat([_polars(), _polars()]).with_columns(asset=pl.Series(["b"] * 4 + ["a"] * 4))
    window = to_window(frame)
    assert window.groups == ("a", "b")
    assert window.group.tolist() == [1] * 4 + [0] * 4
    assert window.starts.tolist() == [0, 4]
    assert window.elapsed.tolist() == [1, 1, 1, 2] * 2


def test_the_fitted_period_measures_new_rows() -> None:
    """A chunk with another median step is still measured in the fitted period's steps."""
    table = to_window(_polars([0, 10, 20]), period_s=300)
    assert table.elapsed.tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (_polars([0, 5, 5, 10]), "row 2 .* is not after"),
        (_polars([0, 10, 5, 20]), "row 2 .* is not after"),
        (_polars().with_columns(note=pl.lit("ok")), "column 'note' is of type String"),
        (_polars().with_columns(time=pl.lit(None, pl.Datetime("us"))), "4 times are missing"),
        (_polars().with_columns(asset=pl.Series(list("abab"))), "interleaved"),
    ],
    ids=["repeated time", "decreasing time", "text", "missing times", "interleaved assets"],
)
def test_tables_that_cannot_be_used_are_refused_by_name(frame: pl.DataFrame, said: str) -> None:
    """The message names the row or the column and what was wanted."""
    with pytest.raises(DataError, match=said):
        to_window(frame)


def test_times_and_groups_must_have_one_entry_a_row() -> None:
    """A wrong length is a ShapeError that gives both shapes."""
    with pytest.raises(ShapeError, match=r"\(3,\), wanted \(2,\)"):
        to_window(np.zeros((2, 1)), times=np.arange(3.0))
    with pytest.raises(ShapeError, match="groups"):
        to_window(np.zeros((2, 1)), groups=["a"])


def test_scikit_learn_never_sees_the_time_column() -> None:
    """The table that goes to validation holds the tags alone."""
    assert open_table(_polars()).data.columns == ["flow", "pressure"]


FAR = [datetime(3000, 1, 1), datetime(3001, 1, 1)]


@pytest.mark.parametrize(
    "times",
    [
        np.array(["3000-01-01", "3001-01-01"], "datetime64[s]"),
        np.array(["1500-01-01", "1501-01-01"], "datetime64[D]"),
        FAR,
        pl.Series(FAR),
        np.array([0.0, 1e300]),
        np.array([0.0, np.inf]),
    ],
    ids=["numpy", "early", "python", "polars", "float", "infinite"],
)
def test_times_that_would_wrap_around_are_refused(times: object) -> None:
    """Nanoseconds in 64 bits end in 2262; beyond, numpy silently gives some other century."""
    with pytest.raises(DataError, match="outside the years 1678 to 2261"):
        to_window(np.zeros((2, 1)), times=times)


@pytest.mark.parametrize("times", [np.array([0.0, np.nan]), np.array(["2026", "NaT"], "M8[D]")])
def test_a_missing_time_is_refused(times: object) -> None:
    with pytest.raises(DataError, match="wanted a time in every row"):
        to_window(np.zeros((2, 1)), times=times)


@pytest.mark.parametrize(
    "groups",
    [["a", None], [1.0, np.nan], pl.Series(["a", None]), pd.Series(["a", pd.NA], dtype="string")],
    ids=["none", "nan", "polars", "pandas"],
)
def test_a_row_without_an_asset_is_refused(groups: object) -> None:
    """It would become a row of an asset called "None"; an asset that is called so is one."""
    with pytest.raises(DataError, match="name no asset"):
        to_window(np.zeros((2, 1)), groups=groups)
    assert to_window(np.zeros((2, 1)), groups=["None", "nan"]).groups == ("None", "nan")


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(DataError, match="two columns have one name"):
        to_window(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))
