"""The asset's page: what, since when, which tag, and what comes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sensorssm_pipelines.store import Store


def titles(page) -> list[str]:
    specs = [json.loads(chart.proto.spec) for chart in page.get("vega_lite_chart")]
    shown = [spec.get("title") for spec in specs]
    return [title["text"] if isinstance(title, dict) else title for title in shown]


def test_all_charts_of_an_asset(build_store, open_page) -> None:
    """Score, shares and four tags; the tag of the fault comes first."""
    page = open_page("asset", build_store())
    assert not page.exception
    shown = titles(page)
    assert shown[0] == "Score against threshold"
    assert shown[1].startswith("Which tag")
    assert shown[2] == "TI-101  Bearing temperature"
    assert len(shown) == 2 + 4


def test_the_forecast_has_a_tab_of_its_own(build_store, open_page) -> None:
    """Its fans are drawn only when it is open, and a link can open it."""
    page = open_page("asset", build_store(), view="Forecast")
    assert not page.exception
    assert len(titles(page)) == 2 + 4
    assert any("Forecast from 2026-01-13 23:50 UTC" in c.value for c in page.caption)


def test_the_url_chooses_asset_span_and_end(build_store, open_page) -> None:
    """A shared link opens the same view."""
    page = open_page("asset", build_store(), asset="P-102", span="24 h", until="2026-01-12T12:00")
    assert page.title[0].value == "P\\-102"
    assert page.selectbox(key="asset").value == "P-102"
    ends = frame_times(page)
    assert ends == [datetime(2026, 1, 11, 12, tzinfo=UTC), datetime(2026, 1, 12, 12, tzinfo=UTC)]


def frame_times(page) -> list[datetime]:
    """Return the ends of the first chart's time axis."""
    import io

    import pyarrow as pa

    chart = page.get("vega_lite_chart")[0].proto
    first = json.loads(chart.spec)["layer"][0]["data"]["name"]
    [table] = [d.data.data for d in chart.datasets if d.name == first]
    rows = pa.ipc.open_stream(io.BytesIO(table)).read_all()
    return rows.column("time").to_pylist()


def test_choosing_an_asset_shows_it(build_store, open_page) -> None:
    """The other asset's title, charts and alarms."""
    page = open_page("asset", build_store())
    page.selectbox(key="asset").set_value("P-102").run()
    assert page.title[0].value == "P\\-102"
    assert page.selectbox(key="jump").options == ["2026-01-12 15:20 UTC · TI-101"]


def test_an_unknown_asset_in_the_url_is_answered_in_words(build_store, open_page) -> None:
    """The page warns and shows the first asset."""
    page = open_page("asset", build_store(), asset="<b>nope</b>")
    assert not page.exception
    assert "No asset" in page.warning[0].value
    assert "<b>" not in page.warning[0].value
    assert page.title[0].value == "P\\-101"


@pytest.mark.parametrize("query", [{"span": "9 y"}, {"until": "soon"}, {"until": "1066-10-14"}])
def test_nonsense_in_the_url_gives_the_default_view(build_store, open_page, query) -> None:
    """No traceback, and charts all the same."""
    page = open_page("asset", build_store(), **query)
    assert not page.exception
    assert "Score against threshold" in titles(page)


def test_an_end_beyond_the_data_is_the_newest_reading(build_store, open_page) -> None:
    """A link to tomorrow shows what there is."""
    page = open_page("asset", build_store(), until="2031-01-01T00:00", span="24 h")
    assert frame_times(page)[1] == datetime(2026, 1, 14, 23, 51, tzinfo=UTC)


def test_going_to_an_alarm_moves_the_time_axis(build_store, open_page) -> None:
    """The alarm lies within the span that is shown afterwards."""
    store = build_store()
    page = open_page("asset", store, asset="P-102", span="6 h")
    options = page.selectbox(key="jump").options
    page.selectbox(key="jump").select_index(0).run()
    assert not page.exception
    [alarm] = store.read_alarms("P-102").to_dicts()
    start, end = frame_times(page)
    assert start < alarm["opened"] < alarm["cleared"] < end
    assert options == ["2026-01-12 15:20 UTC · TI-101"]


def test_a_store_without_a_model_shows_the_readings(build_store, open_page) -> None:
    """No scores, no expectation: four plain trends and an explanation."""
    store = build_store(scored=False)
    page = open_page("asset", store)
    assert not page.exception
    assert len(titles(page)) == 4
    assert any("No scores" in info.value for info in page.info)
    forecast = open_page("asset", store, view="Forecast")
    assert any("No forecast" in info.value for info in forecast.info)


def test_an_asset_without_readings_says_so(tmp_path, open_page) -> None:
    """Known, but never measured."""
    import polars as pl

    store = Store(tmp_path / "named")
    store.write_assets(pl.DataFrame({"asset": ["P-1"], "description": [None], "model": [None]}))
    page = open_page("asset", store)
    assert not page.exception
    assert "No readings of" in page.info[0].value


def test_an_empty_store_says_how_to_fill_it(tmp_path, open_page) -> None:
    """No assets at all."""
    page = open_page("asset", Store(tmp_path / "empty"))
    assert not page.exception
    assert "sensorssm demo" in page.info[0].value


@pytest.mark.parametrize("tag", ["<script>alert(1)</script>", "=cmd()", "a.b[0]:x", "[x](y)"])
def test_a_hostile_tag_is_a_title_and_nothing_else(build_store, open_page, tag: str) -> None:
    """It reaches the charts as text; no Markdown element carries it unescaped."""
    page = open_page("asset", build_store(first_tag=tag))
    assert not page.exception
    assert f"{tag}  Bearing temperature" in titles(page)
    words = [e.value for kind in ("markdown", "caption", "title") for e in getattr(page, kind)]
    assert all(tag not in word for word in words)


def test_the_worst_instant_is_explained_tag_by_tag(build_store, open_page) -> None:
    """By default where the score is largest: the tag of the fault has most of it, and moved first."""
    page = open_page("asset", build_store(), view="Explain", asset="P-101")
    assert not page.exception
    [table] = [frame.value for frame in page.dataframe]
    assert table["tag"][0] == "TI-101" and table["share"][0] == pytest.approx(0.85)
    assert table["moved"][0] == "first"
    assert table["off by"][0].endswith("°C above")
    assert any("threshold 1.00, above it since" in c.value for c in page.caption)


@pytest.mark.parametrize(
    ("asked", "told"),
    [("2026-01-08T12:05", "2026-01-08 12:00"), ("2020-01-01T00:00", "2026-01-08 00:00")],
)
def test_another_instant_can_be_asked_for(build_store, open_page, asked: str, told: str) -> None:
    """The last score up to the time that is asked for, or else the first of the span."""
    page = open_page("asset", build_store(), view="Explain", asset="P-101", at=asked)
    assert not page.exception
    assert any(f"at {told} UTC" in c.value for c in page.caption)
