"""Numbers, times and hostile names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sensorssm_dashboard import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
        (0.0, "0.000"),
        (0.1294, "0.129"),
        (1.0, "1.00"),
        (-12.345, "-12.3"),
        (1234.5, "1,234"),
        (12_345_678.0, "1.23e+07"),
        (0.00001234, "1.23e-05"),
    ],
)
def test_number(value: float | None, shown: str) -> None:
    """About three digits, whatever the size; unknown is a dash."""
    assert text.number(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(None, "–"), (0.0, "0.0 %"), (0.984, "98.4 %"), (0.99999, "> 99.9 %"), (1.0, "100.0 %")],
)
def test_percent_says_all_only_when_it_is_all(share: float | None, shown: str) -> None:
    """One bad reading in a million is not 100 %."""
    assert text.percent(share) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_600, "1 h"),
        (11_100, "3 h 5 min"),
        (86_400, "1 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_duration(seconds: int, shown: str) -> None:
    """The two largest units."""
    assert text.duration(timedelta(seconds=seconds)) == shown


def test_times_are_shown_in_utc() -> None:
    """A time of another zone is moved, not relabelled."""
    berlin = datetime.fromisoformat("2026-07-01T02:30:00+02:00")
    assert text.instant(berlin) == "2026-07-01 00:30 UTC"
    assert text.instant(None) == "–"
    day = datetime(2026, 1, 5, 4, tzinfo=UTC)
    assert text.span(day, day + timedelta(hours=2)) == "2026-01-05 04:00 to 06:00 UTC"
    assert text.span(day, day + timedelta(days=2)) == "2026-01-05 to 2026-01-07"


@pytest.mark.parametrize("name", ["P-101", "Pump 7", "Ölpumpe Nord", "温度"])
def test_plain_shows_an_ordinary_name_unchanged(name: str) -> None:
    """Unescaped, it is the same text: nothing but backslashes was added."""
    assert text.plain(name).replace("\\", "") == name


HOSTILE = [
    "[x](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/a.png)",
    ":red[ALL CLEAR]",
    "$\\sum x$",
    "**bold** _it_ `code`",
    "# heading",
    "| a | b |",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_plain_escapes_every_active_character(name: str) -> None:
    """No character that Markdown acts on stands without a backslash."""
    shown = text.plain(name)
    for at, character in enumerate(shown):
        if character in "[]()<>*_`#|!$:":
            assert shown[at - 1] == "\\"


def test_plain_breaks_bare_links() -> None:
    """Renderers find links after unescaping; a word joiner hides them."""
    assert "http:" not in text.plain("http://evil.example").replace("\\", "")
    assert "www." not in text.plain("www.evil.example").replace("\\", "")


def test_plain_removes_line_breaks_and_control_characters() -> None:
    """A name cannot forge a second line."""
    assert text.plain("a\nb\x1b[0m\u202e").isprintable()


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "  =cmd()"])
def test_cell_disarms_formulas(name: str) -> None:
    """A spreadsheet shows such a cell of an export instead of running it."""
    assert text.cell(name) == f"'{name}"


def test_cell_leaves_the_rest_alone() -> None:
    """Ordinary names and other kinds of values pass."""
    assert [text.cell(v) for v in ("P-101", None, 3.0)] == ["P-101", None, 3.0]
