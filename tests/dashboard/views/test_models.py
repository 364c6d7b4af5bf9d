"""The models' page: who is best, how far ahead, and where not."""

from __future__ import annotations

import polars as pl
import pytest

from sensorssm_pipelines.store import Store


def test_models_stand_in_a_row_each_with_their_coverage(build_store, open_page) -> None:
    """The better one first, its gain, and what its band holds; two charts beside each other."""
    page = open_page("models", build_store())
    assert not page.exception
    table = page.dataframe[0].value
    assert list(table["model"]) == ["SSMForecaster", "EWMA"]
    assert list(table["80 % band holds"]) == pytest.approx([80.0, 80.0])
    assert table["gain"][0] == pytest.approx(100 * (1 - (0.1 * 5 / 4) / 0.15))
    assert [chart.proto.alt for chart in page.get("vega_lite_chart")][:2] == [
        "Error by step, a line a model",
        "Measured coverage over asked coverage, a line a model",
    ]


def test_the_tag_that_a_rival_forecasts_better_is_named(build_store, open_page) -> None:
    page = open_page("models", build_store())
    assert any("behind on 2 of 8 tags" in s.value for s in page.subheader)
    worst = page.dataframe[1].value
    assert list(worst["tag"])[:2] == ["VI-101", "VI-101"]
    assert worst["gain"][0] == pytest.approx(100 * (1 - 0.2 / 0.15))


def test_a_forecast_can_be_chosen_by_asset_and_origin(build_store, open_page) -> None:
    """A fan a tag; where only one forecast was stored, that one."""
    page = open_page("models", build_store(), asset="P-102")
    assert page.selectbox(key="asset").value == "P-102"
    assert f"{page.selectbox(key='origin').value:%Y-%m-%d %H:%M}" == "2026-01-13 23:50"
    fans = [chart.proto.alt for chart in page.get("vega_lite_chart")][2:]
    assert len(fans) == 4 and all("forecast from 2026-01-13 23:50 UTC" in alt for alt in fans)


def test_what_models_cost_is_shown_where_it_was_measured(build_store, open_page) -> None:
    store = build_store()
    assert "fit, s" not in open_page("models", store).dataframe[0].value
    costs = pl.DataFrame({"metric": ["fit_s at 24", "fit_s at 96"], "value": [1.0, 3.0]})
    store.write_metrics(
        costs.with_columns(run=pl.lit("run-1"), asset=pl.lit("P-101"), model=pl.lit("EWMA"))
    )
    table = open_page("models", store).dataframe[0].value.set_index("model")
    assert table["fit, s"]["EWMA"] == 2.0
    assert table["fit, s"].isna()["SSMForecaster"]


def test_a_store_without_a_backtest_says_how_to_get_one(tmp_path, open_page) -> None:
    page = open_page("models", Store(tmp_path / "empty"))
    assert not page.exception
    assert "sensorssm backtest" in page.info[0].value
    assert not page.dataframe
