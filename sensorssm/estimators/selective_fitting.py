"""How a correction is learned: from residuals that the linear forecast had not seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorssm.config import ResidualConfig
from sensorssm.estimators.attempt import Attempt
from sensorssm.estimators.held_back import HeldBack, Reading
from sensorssm.estimators.learning import TRAIN_BLOCKS, Series
from sensorssm.estimators.mixing_fit import Mixed, fit_mixing
from sensorssm.estimators.selective import SelectiveResidual
from sensorssm.estimators.selective_memory import Correction, log_spread, mixing_inputs_of
from sensorssm.models.basis import horizon_basis
from sensorssm.models.linear import LinearForecast

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def fit_correction(
    attempt: Attempt, series: Sequence[Series], *, selective: bool, seed: int
) -> tuple[Correction | None, FloatArray]:
    """Return a readout across tags and a `selective` model of what that leaves, None where neither
    earns its place on rows it had not seen; and the attempt's residuals (k, H, M) less what is kept.
    """
    size, config = _usual_size(attempt), ResidualConfig()
    usual = log_spread(attempt.seen.spread, size).mean(axis=0)
    correction = Correction(size, usual, horizon_basis(attempt.lesson.horizon, config.basis))
    left, mixed = attempt.residual, _mixed(correction, attempt, series)
    if mixed is not None:
        left = left - correction.add(np.zeros_like(left), mixed.held_back)
        correction = replace(correction, mixing=mixed.mixing)
    if selective:
        network = SelectiveResidual(config, seed)
        moved = _network(correction, mixed, attempt, series, network)
        if network.kept_:
            left = left - correction.add(np.zeros_like(left), moved)
            correction = replace(correction, selective=network)
    kept = correction.mixing is not None or correction.selective is not None
    return correction if kept else None, left


def deltas_along(
    correction: Correction, linear: LinearForecast, values: FloatArray, elapsed: FloatArray
) -> FloatArray:
    """Return the selective model's delta (n, C) at every row of one asset, read from its start; C
    is 0 without one."""
    if correction.selective is None:
        return np.empty((len(values), 0))
    series, rows = Series(values, elapsed, len(values)), np.arange(len(values))
    inputs = Reading(correction, series, linear, {}, rows).after(rows)
    return correction.selective.deltas(correction.network_inputs(inputs))[0].astype(np.float64)


def _usual_size(attempt: Attempt) -> FloatArray:
    """Return the mean size (M,) of a tag's held-back residuals, in its unit; its standard deviation
    where none is known."""
    size = np.abs(attempt.residual)
    count = np.isfinite(size).sum(axis=(0, 1))
    # The mean, not the median: a set point stands still but for its jumps.
    mean = np.nansum(size, axis=(0, 1)) / np.maximum(count, 1)
    return np.where(count > 0, np.maximum(mean, 1e-6 * attempt.scale), attempt.scale)


def _mixed(correction: Correction, attempt: Attempt, series: Sequence[Series]) -> Mixed | None:
    """Return the readout across tags that the attempt's kept rows teach."""
    if len(correction.size) < 2:
        return None
    parts = [
        reading.after(kept)
        for reading, kept in zip(_readings(correction, attempt, series), attempt.kept, strict=True)
    ]
    may_walk = not attempt.linear.seasons
    seen = mixing_inputs_of(len(correction.size), attempt.lesson.horizon, may_walk=may_walk)
    return fit_mixing(
        np.concatenate(parts)[:, -seen:],
        attempt.residual / correction.size,
        attempt.block,
        correction.basis,
        judging=TRAIN_BLOCKS + 1,
        horizons=attempt.horizons,
        may_walk=may_walk,
    )


def _network(
    correction: Correction,
    mixed: Mixed | None,
    attempt: Attempt,
    series: Sequence[Series],
    selective: SelectiveResidual,
) -> FloatArray:
    """Teach `selective` what the readout across tags leaves; return its coefficients (k, K, M) at
    the attempt's kept rows."""
    parts = [
        reading.after(np.arange(len(reading.block)))
        for reading in _readings(correction, attempt, series)
    ]
    inputs, block = np.concatenate(parts), np.concatenate(attempt.plans)
    moved = np.zeros((len(inputs), *correction.shape))
    if mixed is not None:
        moved = mixed.at(inputs, block)
    held = HeldBack(attempt, series, correction, moved)
    train, valid = held.rows()
    if len(train) and len(valid):
        selective.fit(
            correction.network_inputs(inputs),
            held,
            train_rows=train,
            valid_rows=valid,
            starts=held.starts,
            horizon=attempt.lesson.horizon,
        )
    if not selective.kept_:
        return np.zeros((len(attempt.residual), *correction.shape))
    told = [selective.correct(correction.network_inputs(part))[0] for part in parts]
    kept = [one[at] for one, at in zip(told, attempt.kept, strict=True)]
    return np.concatenate(kept).astype(np.float64)


def _readings(
    correction: Correction, attempt: Attempt, series: Sequence[Series]
) -> Iterator[Reading]:
    for asset, (one, plan) in enumerate(zip(series, attempt.plans, strict=True)):
        linear, linears = attempt.linear_of(asset), attempt.linears_of(asset)
        yield Reading(correction, one, linear, linears, plan)
