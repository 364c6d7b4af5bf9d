"""The overview answers: live or not, anything wrong, where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from sensorssm_pipelines.store import Store
from sensorssm_pipelines.store.lock import alive


def badges(page) -> list[str]:
    return [m.value for m in page.markdown if "-badge[" in m.value]


def charts(page) -> list:
    return list(page.get("vega_lite_chart"))


def test_one_tile_an_asset_with_the_worst_first(build_store, open_page) -> None:
    """The asset in alarm stands before the calm one, each with its word and chart."""
    page = open_page("overview", build_store(assets=("A-200", "Z-101")))
    assert not page.exception
    first, second = badges(page)
    assert "Alarm" in first
    assert "Normal" in second
    links = [link.label.replace("\\", "") for link in page.get("page_link")]
    assert links[:2] == ["Z-101", "A-200"]
    assert len(charts(page)) == 3  # two tiles and the timeline


def test_the_counts_are_those_of_the_store(build_store, open_page) -> None:
    """One of two calm, one open, two unseen, and the newest score's time."""
    page = open_page("overview", build_store())
    values = {metric.label: metric.value for metric in page.metric}
    assert values["Assets normal"] == "1 of 2"
    assert values["Alarms open"] == "1"
    assert values["To acknowledge"] == "2"
    assert values["Good readings, 7 days"] == "100.0 %"
    assert values["Newest score"] == "2026-01-14 23:50 UTC"


def test_a_replay_says_so_before_anything_else(build_store, open_page) -> None:
    """The first element is the banner, and it names the span."""
    page = open_page("overview", build_store())
    first = next(iter(page.main.children[0].children.values()))
    assert first.type == "info"
    assert "Replay of 2026-01-05 to 2026-01-14" in first.value


def test_a_dead_runtime_is_an_error_before_anything_else(build_store, open_page) -> None:
    """Old data never look live: the first element says that the process is silent."""
    now = datetime.now(UTC)
    store = build_store(
        process="scored", start=now - timedelta(days=10), wall=now - timedelta(minutes=5)
    )
    page = open_page("overview", store)
    first = next(iter(page.main.children[0].children.values()))
    assert first.type == "error"
    assert "no sign of life" in first.value


def test_a_living_runtime_is_quiet(build_store, open_page) -> None:
    """Live data need one grey line, no box."""
    now = datetime.now(UTC)
    page = open_page(
        "overview", build_store(process="scored", start=now - timedelta(days=10), wall=now)
    )
    assert not page.error
    assert not page.info
    assert any("Live. Newest reading" in caption.value for caption in page.caption)


def test_an_asset_that_stopped_is_silent_not_normal(build_store, open_page) -> None:
    """One asset's data end a day before the other's."""
    store = build_store()
    late = pl.DataFrame(
        {
            "asset": ["P-102"],
            "time": [datetime(2026, 1, 16, tzinfo=UTC)],
            "score": [0.1],
            "threshold": [1.0],
            "state": ["NORMAL"],
        }
    )
    store.write_latest(late)
    store.acknowledge(store.read_alarms("P-101")["id"][0], "op", "seen")
    page = open_page("overview", store)
    assert any("Silent" in badge for badge in badges(page))


def test_an_empty_store_says_how_to_fill_it(tmp_path, open_page) -> None:
    """No assets: one friendly line."""
    page = open_page("overview", Store(tmp_path / "empty"))
    assert not page.exception
    assert "sensorssm demo" in page.info[0].value


def test_assets_without_scores_say_so(build_store, open_page) -> None:
    """A tile without a chart explains itself."""
    page = open_page("overview", build_store(scored=False))
    assert not page.exception
    assert sum("No scores yet" in caption.value for caption in page.caption) == 2
    assert all("No score yet" in badge for badge in badges(page))


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "[x](javascript:a)", ":red[ok]"])
def test_a_hostile_asset_name_is_shown_as_text(build_store, open_page, name: str) -> None:
    """Nothing that Markdown would act on reaches the page."""
    page = open_page("overview", build_store(assets=(name,)))
    assert not page.exception
    label = page.get("page_link")[0].label
    assert label != name
    assert label.replace("\\", "").replace("\u2060", "") == name
    assert all(not m.allow_html for m in page.markdown)


def test_of_many_assets_the_worst_have_a_tile_and_the_others_a_row(build_store, open_page) -> None:
    """Thirty assets: nobody reads as many charts, and none is left out."""
    names = tuple(f"P-{n:03}" for n in range(30))
    page = open_page("overview", build_store(assets=names, days=8, scored=False))
    assert not page.exception
    assert len(badges(page)) == 24
    assert page.dataframe[0].value["asset"].to_list() == list(names[24:])


@pytest.mark.parametrize(
    ("status", "words"),
    [("FAILED", "failed"), ("LOST", "was killed"), ("RUNNING", "has not ended"), ("DONE", None)],
)
def test_a_run_that_did_not_end_well_is_told(build_store, open_page, status, words) -> None:
    """Half a store must not pass for a whole one."""
    store = build_store()
    store.write_runs(store.read_runs().with_columns(status=pl.lit(status)))
    with alive(store.path, store.read_runs()["run"][0]):
        page = open_page("overview", store)
    told = [box.value for box in (*page.warning, *page.info) if "run" in box.value]
    assert len(told) == (words is not None)
    assert words is None or words in told[0]
