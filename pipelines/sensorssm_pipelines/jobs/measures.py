"""The numbers that judge a detector row by row, each by its name in a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorssm_pipelines.recipes.parts import Judge

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_SHARE = 0.01  # of the normal rows, for what is "at 1 %"
_HOLD = 200  # rows in which one alarm speaks for all: NAB charges each that repeats


@dataclass(frozen=True)
class Judged:
    """Scores, alarms and truth of one asset's judged rows, (n,), and how many rows came before.

    `scores` is None where only alarms are judged.
    """

    scores: FloatArray | None
    is_alarm: BoolArray
    is_faulty: BoolArray
    before: int = 0


Parts = Sequence[Judged]


@dataclass(frozen=True)
class Measure:
    """A number over all judged assets: its heading, how it is written, and what it is."""

    heading: str
    form: str
    of: Callable[[Parts, Judge], float]
    needs_scores: bool = True


def measured(parts: Parts, judge: Judge) -> dict[str, float | None]:
    """Return each of the recipe's measures by its name; None where it needs scores and has none."""
    has_scores = all(part.scores is not None for part in parts)
    return {
        name: MEASURES[name].of(parts, judge)
        if has_scores or not MEASURES[name].needs_scores
        else None
        for name in judge.measures
    }


def _rate(name: str) -> Callable[[Parts, Judge], float]:
    def rate(parts: Parts, _: Judge) -> float:
        from sensorssm.evaluation.anomaly import row_rates

        truth = np.concatenate([part.is_faulty for part in parts])
        return getattr(row_rates(truth, np.concatenate([part.is_alarm for part in parts])), name)

    return rate


def _mean(of: Callable[[Judged, Judge], float]) -> Callable[[Parts, Judge], float]:
    """Return the mean of a number over the assets that have faults."""

    def mean(parts: Parts, judge: Judge) -> float:
        found = [of(part, judge) for part in parts if part.is_faulty.any()]
        return float(np.mean(found)) if found else float("nan")

    return mean


def _vus_pr(part: Judged, judge: Judge) -> float:
    from sensorssm.evaluation.anomaly import volume_under_surface

    return volume_under_surface(part.is_faulty, _known(part), window=judge.vus_window).pr


def _auc_pr(part: Judged, _: Judge) -> float:
    from sensorssm.evaluation.anomaly import average_precision

    return average_precision(part.is_faulty, _known(part))


def _affiliation_f1(part: Judged, _: Judge) -> float:
    from sensorssm.evaluation.anomaly import affiliation

    return affiliation(part.is_faulty, part.is_alarm).f1


def _batadal(part: Judged, _: Judge) -> float:
    from sensorssm.evaluation.detection import batadal_score

    return batadal_score(part.is_faulty, part.is_alarm)


def _found(parts: Parts, judge: Judge) -> float:
    level = _level(parts)
    return _mean(lambda part, _: float((_known(part) > level)[part.is_faulty].mean()))(parts, judge)


def _rows_late(parts: Parts, judge: Judge) -> float:
    from sensorssm.evaluation.detection import rows_until_found

    level = _level(parts)
    return _mean(lambda part, _: rows_until_found(part.is_faulty, _known(part) > level))(
        parts, judge
    )


def _level(parts: Parts) -> float:
    """Return the score that one in a hundred of all normal rows passes."""
    from sensorssm.evaluation.detection import level_of_normal

    truth = np.concatenate([part.is_faulty for part in parts])
    scores = np.concatenate([_known(part) for part in parts])
    return level_of_normal(truth, scores, false_alarms=_SHARE)


def _nab(profile: str) -> Callable[[Parts, Judge], float]:
    def score(parts: Parts, _: Judge) -> float:
        from sensorssm.evaluation.anomaly import intervals_of, nab_score

        files = []
        for part in parts:
            windows = [
                (part.before + a, part.before + b - 1) for a, b in intervals_of(part.is_faulty)
            ]
            files.append((np.r_[np.zeros(part.before), _news(_known(part))], windows))
        return nab_score(files, profile)

    return score


def _news(scores: FloatArray) -> FloatArray:
    """Return scores (n,) that pass all of the last rows' as they are, and 0 for the others."""
    past = np.r_[np.full(_HOLD, -np.inf), scores[:-1]]
    highest = np.lib.stride_tricks.sliding_window_view(past, _HOLD).max(axis=1)
    return np.where(scores > highest, scores, 0.0)


def _known(part: Judged) -> FloatArray:
    """Return the scores, an unknown one as the least."""
    assert part.scores is not None
    return np.nan_to_num(part.scores)


#: By the name in a recipe.
MEASURES: Mapping[str, Measure] = {
    "f1": Measure("F1", ".3f", _rate("f1"), needs_scores=False),
    "false_alarm_rate": Measure(
        "false alarms", ".1%", _rate("false_alarm_rate"), needs_scores=False
    ),
    "missed_alarm_rate": Measure("missed", ".1%", _rate("missed_alarm_rate"), needs_scores=False),
    "vus_pr": Measure("VUS-PR", ".3f", _mean(_vus_pr)),
    "auc_pr": Measure("AUC-PR", ".3f", _mean(_auc_pr)),
    "affiliation_f1": Measure(
        "affiliation F1", ".3f", _mean(_affiliation_f1), needs_scores=False
    ),
    "found_at_1pc": Measure("found at 1 % false", ".1%", _found),
    "rows_late_at_1pc": Measure("rows late", ".1f", _rows_late),
    "batadal": Measure("BATADAL S", ".3f", _mean(_batadal), needs_scores=False),
    "nab": Measure("NAB", ".1f", _nab("standard")),
    "nab_low_fp": Measure("NAB low FP", ".1f", _nab("low_false_positives")),
    "nab_low_fn": Measure("NAB low FN", ".1f", _nab("low_false_negatives")),
}  # fmt: skip


def written(name: str, value: float | None) -> str:
    """Return a measure's value as the report writes it; nothing where there is none."""
    return "" if value is None else format(value, MEASURES[name].form)
