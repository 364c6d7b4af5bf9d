"""Lengths of time as people write them: ``30s``, ``5min``, ``1h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

from sensorssm.errors import ConfigError

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_TEXT = re.compile(r"(\d+)\s*(ms|s|min|h|d)")


def parse_period(text: str) -> timedelta:
    """Return the length that `text` names; ConfigError when it names none, or none above zero."""
    match = _TEXT.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise ConfigError(
            f"{text!r} is not a length of time. Write a whole number above zero and one of "
            f"{', '.join(_UNITS)}, such as '5min'."
        )
    try:
        return int(match[1]) * _UNITS[match[2]]
    except OverflowError:
        raise ConfigError(f"{text!r} is too long. Write at most some thousand days.") from None


def minutes_text(minutes: float) -> str:
    """Return a length of time in the unit that suits it: ``40 s``, ``105 min``, ``6.5 h``."""
    if minutes < 1:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
