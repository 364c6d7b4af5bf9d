"""The values that a recipe's settings may have: periods, zones, patterns, marks, measures."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

from sensorssm_pipelines.periods import parse_period


def _is_period(text: str) -> str:
    parse_period(text)
    return text


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a time zone; write one such as 'UTC' or 'Europe/Berlin'") from None
    return name


def _is_pattern(text: str) -> str:
    try:
        next(Path("no folder").glob(text), None)
    except (ValueError, NotImplementedError, IndexError):
        raise ValueError(
            "not a pattern of files below the source's path; write one such as '**/*.csv'"
        ) from None
    return text


def _is_separator(text: str) -> str:
    if len(text) != 1 or not text.isascii():
        raise ValueError("not one ASCII character such as ',' or ';'")
    return text


Pattern = Annotated[str, AfterValidator(_is_pattern)]
Separator = Annotated[str, AfterValidator(_is_separator)]
Zone = Annotated[str, AfterValidator(_is_zone)]
Period = Annotated[str, AfterValidator(_is_period)]
#: A place in an asset's rows: how many rows (int), a share of them (float), or a time.
Mark = int | float | datetime
#: A number that judges a detector; `jobs.measures` says what each is.
Measure = Literal[
    "f1",
    "false_alarm_rate",
    "missed_alarm_rate",
    "vus_pr",
    "auc_pr",
    "affiliation_f1",
    "found_at_1pc",
    "rows_late_at_1pc",
    "batadal",
    "nab",
    "nab_low_fp",
    "nab_low_fn",
]
