"""Numbers, times and names as people read them; names from the plant are treated as hostile."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final

from sensorssm.names import unit_sign

DASH: Final = "–"

_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|$~:&\"'=^/@])")
# Markdown renderers turn these into links even when they are escaped; a word joiner stops that.
_LINKS = re.compile(r"(?i)(?<=http)(?=s?://)|(?<=www)(?=\.)|(?<=\S)(?=@\S)|(?<=:)(?=[a-z_]+[/:\[])")


def plain(name: object) -> str:
    """Return `name` so that Markdown shows exactly its characters: no link, colour or formula.

    Line breaks become spaces and control characters vanish, for they can hide or forge rows.
    """
    line = "".join(c if c.isprintable() else " " for c in str(name))
    return _PUNCTUATION.sub(r"\\\1", _LINKS.sub("\u2060", line))


def cell(name: object) -> object:
    """Return a table cell that a spreadsheet will not run as a formula after an export."""
    if isinstance(name, str) and name.lstrip()[:1] in {"=", "+", "-", "@"}:
        return f"'{name}"
    return name


def number(value: float | None, *, digits: int = 3) -> str:
    """Return `value` with about `digits` significant digits and grouped thousands."""
    if value is None or not isfinite(value):
        return DASH
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:,.{max(digits - whole, 0)}f}"


def percent(share: float | None) -> str:
    """Return a share of 0 to 1 in percent; 100 % only when nothing at all is missing."""
    if share is None or not isfinite(share):
        return DASH
    shown = f"{100 * share:.1f} %"
    return "> 99.9 %" if share < 1 and shown == "100.0 %" else shown


def instant(time: datetime | None) -> str:
    """Return a time in UTC to the minute."""
    return DASH if time is None else f"{_utc(time):%Y-%m-%d %H:%M} UTC"


def span(start: datetime, end: datetime) -> str:
    """Return an interval in days, or in minutes when it lies within one day."""
    start, end = _utc(start), _utc(end)
    if start.date() == end.date():
        return f"{start:%Y-%m-%d %H:%M} to {end:%H:%M} UTC"
    return f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"


def duration(length: timedelta | None) -> str:
    """Return a length of time in its two largest units."""
    if length is None:
        return DASH
    seconds = int(length.total_seconds())
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if seconds >= size:
            rest = seconds % size // below
            return (
                f"{seconds // size} {unit} {rest} {small}" if rest else f"{seconds // size} {unit}"
            )
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def plural(count: int, noun: str) -> str:
    """Return ``1 alarm`` or ``1,200 alarms``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def quantity(name: str, code: str | None) -> str:
    """Return an axis title: the name and, in brackets, its unit."""
    shown = unit_sign(code)
    return f"{name} [{shown}]" if shown else name


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
