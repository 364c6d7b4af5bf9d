"""Greys for what is normal and one colour per alarm priority, never without a word and a shape.

The scheme is that of ISA-101 and the ASM consortium's high-performance displays: a screen on
which all is well is grey, so that the one coloured thing is what the operator must look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


def _by_scheme(light: str, dark: str) -> str:
    """Return a colour that the browser picks by the page's scheme, in CSS and in SVG alike."""
    return f"light-dark({light}, {dark})"


INK: Final = _by_scheme("#22282c", "#e4e8ea")  # readings and text
QUIET: Final = _by_scheme("#6a7377", "#98a2a7")  # axes, captions
FAINT: Final = _by_scheme("#d3d7d9", "#3b4348")  # grid lines, borders
PAPER: Final = _by_scheme("#fbfcfc", "#1d2326")  # the face of a chart or a tile
SLATE: Final = _by_scheme("#3f6478", "#8fb6ca")  # what the model expects
MIST: Final = _by_scheme("#b9cbd5", "#3c5563")  # where it expects the reading to lie
LIMIT: Final = _by_scheme("#8d2f35", "#e27d83")  # the threshold
LABEL: Final = _by_scheme("#7a6a99", "#a99acd")  # ground truth, written by a person
BLAME: Final = _by_scheme("#a8591c", "#e3a063")  # a tag's share of the score

#: Lines beside each other: the one that matters, then muted ones that no alarm has.
SERIES: Final = (INK, "#4a8ea8", "#9a7d58", "#8a7aab", "#5f9578", "#9aa3a8", "#ad6b86", "#657792")


@dataclass(frozen=True)
class Look:
    """How a word is drawn: its icon, its Streamlit colour, its colour and shape in charts."""

    word: str
    icon: str
    badge: str
    colour: str
    shape: str = "circle"


#: Priority 1 is the most urgent. Shape and number differ too, for eyes that miss the colour.
PRIORITIES: Final = {
    1: Look("1 urgent", ":material/square:", "red", "#c4262e", "square"),
    2: Look("2 high", ":material/change_history:", "orange", "#d9730d", "triangle-up"),
    3: Look("3 medium", ":material/circle:", "yellow", "#b08900", "circle"),
    4: Look("4 low", ":material/arrow_drop_down:", "gray", "#7d868a", "triangle-down"),
}

_PRIORITY_WORDS: Final = {
    **dict.fromkeys(("urgent", "critical", "emergency"), 1),
    "high": 2,
    **dict.fromkeys(("medium", "warning"), 3),
    **dict.fromkeys(("low", "info", "journal"), 4),
}

STATES: Final = {
    "OPEN": Look("Open", ":material/notifications_active:", "red", "#c4262e"),
    "ACKNOWLEDGED": Look("Acknowledged", ":material/task_alt:", "blue", SLATE),
    "SHELVED": Look("Shelved", ":material/snooze:", "gray", "#7d868a"),
    "CLEARED": Look("Cleared", ":material/check:", "gray", "#7d868a"),
}


def priority(value: object) -> Look:
    """Return the look of an alarm priority, a number from 1 or a word; unknown ones are low."""
    text = str(value).strip().lower()
    rank = int(text) if text.isdecimal() else _PRIORITY_WORDS.get(text, 4)
    return PRIORITIES[min(max(rank, 1), 4)]
