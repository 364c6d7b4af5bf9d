"""Where an asset's rows are cut: fitted, chosen on, tested, scored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from sensorssm.errors import ConfigError
from sensorssm_pipelines.recipes.parts import Split
from sensorssm_pipelines.recipes.values import Mark
from sensorssm_pipelines.store.rows import as_utc


@dataclass(frozen=True)
class Spans:
    """Row numbers: fitted on [0, fit), chosen on [fit, valid), tested on [valid, test), scored
    from `score` on."""

    fit: int
    valid: int
    test: int
    score: int


def spans_of(split: Split, times: pl.Series, asset: str) -> Spans:
    """Return where `split` cuts the rows at `times`; ConfigError where a span has no row.

    Beside a reference asset nothing is fitted, and every row is scored.
    """
    rows = times.len()
    if split.reference not in (None, asset):
        return Spans(0, 0, rows, 0)
    marks = split.fit if isinstance(split.fit, list) else [split.fit]
    fit = min(_place(mark, times) for mark in marks)
    valid = fit if split.valid is None else _place(split.valid, times)
    test = rows if split.test is None else _place(split.test, times)
    score = fit if split.score is None else _place(split.score, times)
    if not (2 <= fit <= valid <= test <= rows and fit <= score <= rows):
        raise ConfigError(
            f"the split cuts the {rows} rows of asset {asset!r} into fit {fit}, valid {valid}, "
            f"test {test} and score {score}; wanted 2 <= fit <= valid <= test <= {rows} and "
            f"fit <= score <= {rows}. Change [split] in the recipe or give more readings."
        )
    return Spans(fit, valid, test, score)


def _place(mark: Mark, times: pl.Series) -> int:
    if isinstance(mark, datetime):
        return int((times < as_utc(mark)).sum())
    if isinstance(mark, float):
        return round(mark * times.len())
    return mark
