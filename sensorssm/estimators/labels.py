"""What people say of a detector's alarms, and how far it moves the threshold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import DataError, ShapeError
from sensorssm.frames import Window

FAULT, FALSE_ALARM, MAINTENANCE = "fault", "false_alarm", "maintenance"
KINDS = (FAULT, FALSE_ALARM, MAINTENANCE)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Label:
    """What somebody said of rows [started, ended) of an asset: ISO times, or row numbers.

    `level` is the highest threshold at which an alarm would still open there; None where no score
    is known.
    """

    kind: str
    asset: str
    started: str | int
    ended: str | int
    level: float | None

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Return the label that `asdict` took apart; raise ValueError where it is none."""
        label = cls(**given)
        level = label.level
        if label.kind not in KINDS or not (level is None or np.isfinite(float(level))):
            raise ValueError(f"{given!r} is no label")
        return label

    def as_dict(self) -> dict[str, Any]:
        """Return the label as JSON holds it."""
        return asdict(self)


def read_kinds(given: ArrayLike, rows: int) -> NDArray[np.object_]:
    """Return a kind a row, "" where nothing was said (also for None).

    Raises
    ------
    ShapeError, DataError : not (rows,); a kind that is none of `KINDS`
    """
    kinds = np.array(["" if kind is None else str(kind) for kind in np.ravel(np.asarray(given))])
    if np.shape(given) != (rows,):
        raise ShapeError(f"labels has shape {np.shape(given)}, wanted ({rows},): one a row")
    unknown = sorted(set(kinds.tolist()) - {"", *KINDS})
    if unknown:
        raise DataError(f"labels hold {unknown[0]!r}, wanted one of {list(KINDS)}, or '' for none")
    return kinds.astype(object)


def rows_to_learn(
    rows: int, labels: ArrayLike | None, exclude: ArrayLike | None
) -> NDArray[np.bool_]:
    """Return which rows to learn from: not those labelled a fault, maintenance or nonzero.

    Raises
    ------
    ShapeError, DataError : flags of other rows, or that are no flags; fewer than two rows left
    """
    keep = np.ones(rows, dtype=bool)
    for name, given in (("labels", labels), ("exclude", exclude)):
        if given is None:
            continue
        flags = np.asarray(given)
        if flags.shape != (rows,):
            raise ShapeError(f"{name} has shape {flags.shape}, wanted ({rows},): one a row")
        if flags.dtype.kind in "OU" and name == "labels":
            flags = np.isin(read_kinds(flags, rows).astype(str), [FAULT, MAINTENANCE])
        if flags.dtype.kind not in "biuf" or np.isnan(flags).any():
            raise DataError(
                f"{name} hold NaN or no numbers ({flags.dtype}), wanted 0 or False where a row is "
                "to be learnt from, 1 or True elsewhere"
            )
        keep &= ~(flags.astype(bool))
    if keep.sum() < 2:
        raise DataError(f"labels and exclude leave {keep.sum()} of {rows} rows, wanted 2 or more")
    return keep


def labels_of(
    window: Window, kinds: NDArray[np.object_], scores: FloatArray, on_delay: int
) -> list[Label]:
    """Return each stretch of rows of one kind with the level that its alarm opens at."""
    found = []
    for first, end in itertools.pairwise([*window.starts, len(scores)]):
        opening = opening_levels(scores[first:end], on_delay)
        for start, stop in _stretches(kinds[first:end]):
            level = float(opening[start:stop].max())
            found.append(
                Label(
                    kinds[first + start],
                    window.groups[window.group[first]],
                    *_ends(window, first + start, first + stop),
                    level if np.isfinite(level) else None,
                )
            )
    return found


def opening_levels(scores: FloatArray, on_delay: int) -> FloatArray:
    """Return, (n,), the threshold below which an alarm opens with each row of an asset.

    The least of the last `on_delay` scores; -inf where one of them is unknown or not there.
    """
    known = np.r_[np.full(on_delay - 1, -np.inf), np.where(np.isnan(scores), -np.inf, scores)]
    return np.lib.stride_tricks.sliding_window_view(known, on_delay).min(axis=1)


def with_new(labels: Sequence[Label], new: Sequence[Label]) -> tuple[Label, ...]:
    """Return all labels; a new one takes the place of one of the same asset and times.

    Row numbers say nothing about which readings they were of: such labels all stay.
    """
    said = {(x.asset, x.started, x.ended) for x in new if isinstance(x.started, str)}
    kept = [x for x in labels if (x.asset, x.started, x.ended) not in said]
    return (*kept, *new)


def moved_threshold(fitted: float, labels: Sequence[Label]) -> float:
    """Return the least threshold, from `fitted` up, that silences every false alarm.

    It stays below the level of each fault that the fitted threshold finds, and so may leave
    false alarms standing that look worse than a fault.
    """
    false = [x.level for x in labels if x.kind == FALSE_ALARM and x.level is not None]
    faults = [x.level for x in labels if x.kind == FAULT and x.level is not None]
    bound = min((level for level in faults if level > fitted), default=np.inf)
    return float(max(fitted, min(max(false, default=fitted), np.nextafter(bound, -np.inf))))


def _stretches(kinds: NDArray[np.object_]) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of the runs of one kind that is not ""."""
    change = np.flatnonzero(np.r_[True, kinds[1:] != kinds[:-1], True])
    for start, end in itertools.pairwise(change.tolist()):
        if kinds[start]:
            yield start, end


def _ends(window: Window, start: int, end: int) -> tuple[str | int, str | int]:
    """Return a stretch of rows as ISO times, half open, or as row numbers where there are none."""
    if window.time is None:
        return start, end
    step = np.int64(round((window.period_s or 0.0) * 1e9))
    times = np.array([window.time[start], window.time[end - 1] + step]).astype("datetime64[ns]")
    return str(times[0]), str(times[1])
