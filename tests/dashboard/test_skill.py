"""How judged forecasters are compared: every mean by hand."""

from __future__ import annotations

import polars as pl
import pytest

from sensorssm_dashboard import skill

ROWS = pl.DataFrame(
    [
        ("SSM", "p", "a", 1, 1.0, 30), ("SSM", "p", "a", 2, 3.0, 10), ("SSM", "p", "b", 1, 5.0, 10),
        ("naive", "p", "a", 1, 2.0, 30), ("naive", "p", "a", 2, 4.0, 10),
        ("naive", "p", "b", 1, 4.0, 10), ("ewma", "p", "a", 1, 1.5, 40), ("ewma", "p", "b", 1, 9.0, 10),
    ],
    schema=["model", "asset", "tag", "step", "pinball", "readings"], orient="row",
).with_columns(mae=pl.col("pinball") * 2, run=pl.lit("r"))  # fmt: skip

LEVELS = pl.DataFrame(
    [("SSM", 0.1, 0.15, 10), ("SSM", 0.1, 0.05, 30), ("SSM", 0.5, 0.5, 10), ("SSM", 0.9, 0.9, 10)],
    schema=["model", "level", "below", "readings"],
    orient="row",
)


def test_only_the_newest_run_is_shown() -> None:
    both = pl.concat([ROWS, ROWS.with_columns(run=pl.lit("s"))])
    assert skill.newest(both)["run"].unique().to_list() == ["s"]
    assert skill.newest(ROWS.clear()).is_empty()


def test_a_step_is_a_mean_in_which_every_reading_counts_alike() -> None:
    """Step 1: 30 readings of loss 1 and 10 of loss 5."""
    own = skill.by_step(ROWS).filter(model="SSM")
    assert own["pinball"].to_list() == [pytest.approx(2.0), pytest.approx(3.0)]
    assert own["mae"].to_list() == [pytest.approx(4.0), pytest.approx(6.0)]


def test_a_model_gains_on_the_best_of_the_others() -> None:
    """(30 + 30 + 50) / 50 is 2.2, of the naive (60 + 40 + 40) / 50 2.8, of ewma 3."""
    rows = {row["model"]: row for row in skill.by_model(ROWS, LEVELS).to_dicts()}
    assert list(rows) == ["SSM", "naive", "ewma"]
    assert rows["SSM"]["gain"] == pytest.approx(1 - 2.2 / 2.8)
    assert rows["naive"]["gain"] == pytest.approx(1 - 2.8 / 2.2)
    assert rows["SSM"]["band"] == pytest.approx(0.9 - (0.15 * 10 + 0.05 * 30) / 40)
    assert rows["ewma"]["band"] is None


def test_coverage_pairs_levels_around_the_median() -> None:
    """0.1 and 0.9 make one interval of 80 %; the median makes none."""
    [row] = skill.coverage(LEVELS).to_dicts()
    assert (row["asked"], row["measured"]) == (pytest.approx(0.8), pytest.approx(0.825))


def test_the_tag_where_a_rival_is_ahead_comes_first() -> None:
    worst, better = skill.by_tag(ROWS).to_dicts()
    assert (worst["tag"], worst["rival"], worst["gain"]) == ("b", "naive", pytest.approx(-0.25))
    assert (better["tag"], better["rival"], better["ours"]) == ("a", "ewma", pytest.approx(1.5))


def test_a_model_alone_has_no_rival() -> None:
    alone = ROWS.filter(model="SSM")
    assert skill.by_tag(alone).is_empty()
    assert skill.by_model(alone, LEVELS)["gain"].to_list() == [None]


def test_what_nobody_knows_is_left_out() -> None:
    """A tag that was silent has NaN for its error and no reading."""
    silent = ROWS.head(1).with_columns(
        pinball=pl.lit(float("nan")), tag=pl.lit("c"), readings=pl.lit(0, pl.Int64)
    )
    known = pl.concat([ROWS, silent])
    assert skill.by_step(known).equals(skill.by_step(ROWS))
    assert skill.by_tag(known).equals(skill.by_tag(ROWS))


def test_our_model_is_shown_first() -> None:
    assert skill.ours_first(["ewma", "ssm", "dlinear"]) == ["ssm", "dlinear", "ewma"]
    assert skill.ours_first(["EWMA", "SSMForecaster"]) == ["SSMForecaster", "EWMA"]
