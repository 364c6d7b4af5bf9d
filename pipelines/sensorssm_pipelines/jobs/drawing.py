"""Small line charts as SVG text: no script, no library, the colours of the page around them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Span = tuple[datetime, datetime]

WIDTH, HEIGHT = 560, 120
_LEFT, _TOP, _BOTTOM = 46, 6, 18  # px beside, above and below the plot
_COLUMNS = 257  # of two px; more points would be drawn over each other


_NEAR = 0.02  # of the largest value: a line that comes so near to zero is drawn from zero


def chart(
    times: Sequence[datetime],
    lines: Sequence[tuple[str, ArrayLike]],
    *,
    span: Span,
    marked: Span | None = None,
    at: datetime | None = None,
) -> str:
    """Return an SVG of some lines over time.

    Parameters
    ----------
    times : (n,), in order
    lines : the class that styles each line in the page, and its values (n,); NaN is a gap
    span : of the x axis
    marked : a span to shade
    at : an instant to draw a rule at
    """
    x = np.array([_place(time, span) for time in times])
    values = [np.asarray(line, dtype=np.float64) for _, line in lines]
    low, high = _limits(values)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        *([] if marked is None else [_band(marked, span)]),
        *([] if at is None else [_rule(at, span)]),
        *(
            f'<path class="{name}" d="{_path(x, line, low, high)}"/>'
            for (name, _), line in zip(lines, values, strict=True)
        ),
        _label(_LEFT - 6, _TOP + 8, f"{high:.3g}", anchor="end"),
        _label(_LEFT - 6, HEIGHT - _BOTTOM, f"{low:.3g}", anchor="end"),
        _label(_LEFT, HEIGHT - 4, f"{span[0]:%Y-%m-%d %H:%M}"),
        _label(WIDTH - 2, HEIGHT - 4, f"{span[1]:%Y-%m-%d %H:%M} UTC", anchor="end"),
        "</svg>",
    ]
    return "".join(parts)


def _limits(values: Sequence[FloatArray]) -> tuple[float, float]:
    known = np.concatenate([line[np.isfinite(line)] for line in values] or [np.zeros(0)])
    if len(known) == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    low = 0.0 if 0 < low < _NEAR * high else low
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def _path(x: FloatArray, line: FloatArray, low: float, high: float) -> str:
    """Return a path through the known points, lifted over gaps; of a crowd, its extremes."""
    keep = _thinned(x, line)
    share = np.clip((line[keep] / 2 - low / 2) / (high / 2 - low / 2), 0, 1)  # halves: no overflow
    y = _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - share)
    words, is_down = [], False
    for across, down in zip(x[keep], y, strict=True):
        if np.isnan(down):
            is_down = False
            continue
        words.append(f"{'L' if is_down else 'M'}{across:.1f} {down:.1f}")
        is_down = True
    return "".join(words)


def _thinned(x: FloatArray, line: FloatArray) -> NDArray[np.int64]:
    """Return the rows to draw: all of a few; of many the first, least, largest and last a column,
    and every gap."""
    if len(x) <= 2 * _COLUMNS:
        return np.arange(len(x))
    column = np.clip((x - _LEFT) * _COLUMNS / (WIDTH - _LEFT), 0, _COLUMNS - 1).astype(np.int64)
    keep = {int(row) for row in np.flatnonzero(np.isnan(line))}
    for one in np.unique(column):
        rows = np.flatnonzero((column == one) & ~np.isnan(line))
        if len(rows):
            keep |= {rows[0], rows[line[rows].argmin()], rows[line[rows].argmax()], rows[-1]}
    return np.array(sorted(keep), dtype=np.int64)


def _place(time: datetime, span: Span) -> float:
    return _LEFT + (WIDTH - _LEFT) * ((time - span[0]) / (span[1] - span[0]))


def _band(marked: Span, span: Span) -> str:
    left, right = (min(max(_place(time, span), _LEFT), WIDTH) for time in marked)
    size = f'width="{right - left:.1f}" height="{HEIGHT - _BOTTOM}"'
    return f'<rect class="fault" x="{left:.1f}" y="0" {size}/>'


def _rule(at: datetime, span: Span) -> str:
    x = _place(at, span)
    return f'<path class="alarm" d="M{x:.1f} 0V{HEIGHT - _BOTTOM}"/>'


def _label(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{words}</text>'
