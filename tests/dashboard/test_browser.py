"""The pages in a real browser: what a person sees, does and is not shown.

The browser stands in New York, so that a time shown in browser time fails the tests.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from sensorssm_dashboard.launch import command
from sensorssm_pipelines.store import Store
from sensorssm_pipelines.store.lock import alive

pytestmark = pytest.mark.browser

DEMO = Path("runs/demo")
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def store(plant_writer: Callable[..., Store], tmp_path_factory: pytest.TempPathFactory) -> Store:
    return plant_writer(tmp_path_factory.mktemp("plant") / "store")


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], str]]:
    """Return a function that serves a store and gives its address; all stop at the end."""
    servers: list[subprocess.Popen[bytes]] = []

    def served(path: Path) -> str:
        port = free_port()
        with (tmp_path_factory.mktemp("server") / "log.txt").open("wb") as log:
            servers.append(subprocess.Popen(command(path, port), stdout=log, stderr=log))
        address = f"http://127.0.0.1:{port}"
        wait_for(address)
        return address

    yield served
    for server in servers:
        server.terminate()
        server.wait(timeout=20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"no server at {address}")


@pytest.fixture(scope="module")
def address(serve: Callable[[Path], str], store: Store) -> str:
    return serve(store.path)


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Visit]:
    """Return a function that opens a page and waits until it is drawn; a screenshot is kept.

    What the browser could not load, or complained of, fails the test at the end.
    """
    context = browser.new_context(
        viewport={"width": 1440, "height": 1000}, timezone_id="America/New_York"
    )
    outside: list[str] = []

    def opened(url: str, title: str) -> Page:
        page = context.new_page()
        page.on("request", lambda r: None if "127.0.0.1" in r.url else outside.append(r.url))
        page.on("pageerror", lambda error: outside.append(str(error)))
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=30_000)
        settle(page)
        page.screenshot(path=tmp_path / f"{title}.png")
        return page

    yield opened
    context.close()
    assert [url for url in outside if not url.startswith(("data:", "blob:"))] == []


def settle(page: Page) -> None:
    """Wait until the page has stopped running and every chart is drawn."""
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=30_000)
    for chart in page.get_by_test_id("stVegaLiteChart").all():
        if chart.is_visible():
            expect(chart.locator("svg")).to_be_visible(timeout=30_000)


def chart(page: Page, title: str) -> Locator:
    """Return the drawing of the first chart with this title, once it is there."""
    drawing = page.get_by_test_id("stVegaLiteChart").locator("svg").filter(has_text=title).first
    expect(drawing).to_be_visible(timeout=30_000)
    return drawing


def words_of(drawing: Locator) -> list[str]:
    """Return the words drawn in a chart, axis labels included."""
    return drawing.locator("text").all_text_contents()


def test_the_overview_shows_the_plant(address: str, visit: Visit) -> None:
    """Banner, counts, two tiles with a word each, and charts."""
    page = visit(address, "Plant overview")
    expect(page.get_by_text("Replay of 2026-01-05 to 2026-01-14")).to_be_visible()
    expect(page.get_by_text("1 of 2", exact=True)).to_be_visible()
    expect(page.locator(".stMarkdownBadge")).to_contain_text(["Alarm", "Normal"])
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(3)
    banner = page.get_by_text("Replay of").bounding_box()
    heading = page.get_by_role("heading", level=1).bounding_box()
    assert banner is not None
    assert heading is not None
    assert banner["y"] < heading["y"]


def test_a_tile_leads_to_its_asset_and_the_view_can_be_shared(address: str, visit: Visit) -> None:
    """The link carries the asset; a chosen span goes to the URL; a new tab shows the same."""
    page = visit(address, "Plant overview")
    page.get_by_role("link", name="P-102").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("P-102", timeout=30_000)
    assert "asset=P-102" in page.url
    page.get_by_role("radio", name="24 h").click()
    expect(page).to_have_url(re.compile("span=24"), timeout=15_000)
    again = visit(page.url, "P-102")
    expect(again.get_by_role("radio", name="24 h")).to_be_checked()


def test_an_asset_shows_its_charts_in_utc(address: str, visit: Visit) -> None:
    """The axis labels are the UTC ones, five hours from the browser's own clock."""
    page = visit(f"{address}/asset?asset=P-101&span=24+h&until=2026-01-12T00:00", "P-101")
    labels = set(words_of(chart(page, "Score against threshold")))
    assert {"12 Jan", "06:00", "12:00", "18:00"} <= labels
    assert not {"05:00", "11:00", "19:00"} & labels
    assert "TI-101" in words_of(chart(page, "Which tag"))
    assert "°C" in words_of(chart(page, "Bearing temperature"))


def test_the_forecast_is_drawn_when_its_tab_is_opened(address: str, visit: Visit) -> None:
    """Four fans, each with its tag."""
    page = visit(f"{address}/asset", "P-101")
    page.get_by_role("tab", name="Forecast").click()
    expect(page.get_by_text("Forecast from 2026-01-13 23:50 UTC")).to_be_visible()
    box = chart(page, "Vibration").bounding_box()
    assert box is not None
    assert box["width"] > 400  # a chart drawn in a hidden tab has no width


def test_hovering_tells_the_readings(address: str, visit: Visit) -> None:
    """The tooltip has the time in UTC and the numbers with their unit."""
    page = visit(f"{address}/asset?asset=P-101", "P-101")
    drawing = chart(page, "Bearing temperature")
    drawing.scroll_into_view_if_needed()
    drawing.hover(position={"x": 300, "y": 70})
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_be_visible(timeout=10_000)
    assert re.search(r"2026-01-\d\d \d\d:\d\d UTC", tooltip.inner_text())
    assert "value [°C]" in tooltip.inner_text()


def test_an_unknown_asset_is_answered_in_words(address: str, visit: Visit) -> None:
    """A stale link leads to a sentence and the first asset."""
    page = visit(f"{address}/asset?asset=P-999", "P-101")
    expect(page.get_by_text("No asset 'P-999' in this store")).to_be_visible()


def test_an_alarm_is_acknowledged_by_keyboard(
    serve: Callable[[Path], str], plant_writer: Callable[..., Store], visit: Visit, tmp_path: Path
) -> None:
    """Who and why by keys alone; the row goes, the journal has the name, the store the reason."""
    store = plant_writer(tmp_path / "store")
    page = visit(f"{serve(store.path)}/alarms", "Alarms")
    rows = page.get_by_test_id("stMarkdown").filter(has_text="TI-101 runs above")
    expect(rows).to_have_count(2)
    page.get_by_test_id("stPopover").first.get_by_role("button").press("Enter")
    page.get_by_label("Who").first.fill("Ada")
    page.get_by_label("Why, or what you did").first.fill("bearing greased")
    page.get_by_label("Why, or what you did").first.press("Enter")
    expect(rows).to_have_count(1, timeout=15_000)
    [event] = store.read_alarm_events("P-101").to_dicts()
    assert (event["who"], event["why"]) == ("Ada", "bearing greased")


def test_an_alarm_can_be_read_and_acknowledged_on_a_phone(address: str, browser: Browser) -> None:
    """At 390 pixels an alarm is a few lines high, and its button lies on the screen."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(f"{address}/alarms")
    tile = page.locator('[class*="st-key-tile"]').first
    expect(tile).to_be_visible(timeout=30_000)
    height = "document.querySelector('[class*=st-key-tile]').offsetHeight"
    page.wait_for_function(f"{height} < 330", timeout=30_000)  # once the page's style is there
    button = tile.get_by_role("button", name="Acknowledge").bounding_box()
    page.close()
    assert button is not None and button["x"] + button["width"] <= 390


def test_the_runs_page_lists_metrics_and_faults(address: str, visit: Visit) -> None:
    """Numbers beside baselines, and the faults that were found."""
    page = visit(f"{address}/runs", "Runs")
    expect(page.get_by_text("Known faults: 2 of 2 found")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)


def test_hostile_names_are_shown_and_not_run(
    serve: Callable[[Path], str], plant_writer: Callable[..., Store], visit: Visit, tmp_path: Path
) -> None:
    """An image tag with a handler, as a tag and as an asset, is text on every page."""
    store = plant_writer(tmp_path / "store", assets=(HOSTILE,), first_tag=HOSTILE)
    address = serve(store.path)
    for path, title in (("", "Plant overview"), ("/asset", HOSTILE), ("/alarms", "Alarms")):
        page = visit(f"{address}{path}", title)
        assert page.locator("img[src='x']").count() == 0
        assert page.title() != "owned"
        assert HOSTILE in page.content().replace("&lt;", "<").replace("&gt;", ">")


def test_a_store_that_is_missing_is_one_line(
    serve: Callable[[Path], str], browser: Browser, tmp_path: Path
) -> None:
    """No traceback, no file name of ours, and a command that helps."""
    page = browser.new_page()
    page.goto(serve(tmp_path / "nowhere"))
    expect(page.get_by_text("no store in")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("sensorssm demo")).to_be_visible()
    assert "Traceback" not in page.content()
    page.close()


def test_live_data_turn_stale_before_the_readers_eyes(
    serve: Callable[[Path], str], plant_writer: Callable[..., Store], visit: Visit, tmp_path: Path
) -> None:
    """New alarms appear without a click; when the heartbeat ages, the page says so first."""
    now = datetime.now(UTC)
    store = plant_writer(
        tmp_path / "store", process="scored", start=now - timedelta(days=10), wall=now
    )
    page = visit(serve(store.path), "Plant overview")
    expect(page.get_by_text("Live. Newest reading")).to_be_visible()
    for alarm in store.read_alarms()["id"]:
        store.acknowledge(alarm, "Ada", "seen")
    expect(page.locator(".stMarkdownBadge").first).to_contain_text(
        "Alarm, acknowledged", timeout=15_000
    )
    beat = store.read_heartbeat().with_columns(wall_time=pl.lit(now - timedelta(minutes=1)))
    store.write_heartbeat(beat)
    expect(page.get_by_text("has given no sign of life")).to_be_visible(timeout=15_000)


def test_new_results_appear_without_a_click(
    serve: Callable[[Path], str], plant_writer: Callable[..., Store], visit: Visit, tmp_path: Path
) -> None:
    """A page of stored results is drawn again when a run begins and when its process dies."""
    store = plant_writer(tmp_path / "store")
    page = visit(serve(store.path), "Plant overview")
    page.evaluate("document.querySelector('h1').dataset.drawn = 'once'")
    page.wait_for_timeout(5_000)
    assert page.locator("h1").get_attribute("data-drawn") == "once"
    begun = {"run": ["run-2"], "started": [datetime(2026, 3, 1, tzinfo=UTC)], "status": ["RUNNING"]}
    with alive(store.path, "run-2"):
        store.write_runs(pl.DataFrame(begun))
        expect(page.get_by_text("has not ended")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("was killed")).to_be_visible(timeout=15_000)


@pytest.mark.parametrize(("scheme", "ink"), [("light", (34, 40, 44)), ("dark", (228, 232, 234))])
def test_pages_and_charts_follow_the_viewers_scheme(
    address: str, browser: Browser, scheme: Any, ink: tuple[int, int, int]
) -> None:
    """The title of a page and that of a chart have the ink of the scheme."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{address}/models")
    title = chart(page, "Error by step").get_by_text("Error by step")
    colours = [
        text.evaluate(f"node => getComputedStyle(node).{name}")
        for text, name in ((page.get_by_role("heading", level=1), "color"), (title, "fill"))
    ]
    context.close()
    assert colours == [f"rgb({', '.join(map(str, ink))})"] * 2


@pytest.mark.skipif(not (DEMO / "results.db").exists(), reason="no demo store: run `make demo`")
def test_the_demo_store_is_shown_whole(serve: Callable[[Path], str], visit: Visit) -> None:
    """Every page of the real demo has its heading, its charts and no error."""
    address = serve(DEMO)
    first = Store(DEMO, read_only=True).assets()[0]
    pages = (
        ("", "Plant overview"), ("/asset", first), ("/alarms", "Alarms"), ("/models", "Models"),
        ("/quality", "Quality"), ("/runs", "Runs"),
    )  # fmt: skip
    for path, title in pages:
        page = visit(f"{address}{path}", title)
        assert page.get_by_test_id("stException").count() == 0
        assert page.get_by_test_id("stAlertContentError").count() == 0
