"""From readings to a `ForecastModel`: plan the memory, learn, choose, solve, calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from sensorssm.estimators.learning import Learned, Lesson, Series, learn
from sensorssm.estimators.selection import Choice, choose, make_folds, solve, training_sums
from sensorssm.estimators.stream import AssetState, ForecastModel
from sensorssm.models.linear import LinearForecast
from sensorssm.models.memory import Features, plan_memory
from sensorssm.scoring.conformal import Conformal, fit_offsets
from sensorssm.scoring.dispersion import fit_dispersion, knots_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Of the longest asset's rows, the share that a readout's horizon may take; further steps keep
# the base forecast.
HORIZON_SHARE = 4


@dataclass(frozen=True)
class Fit:
    """A fitted model, where each asset stands, and the settings that were chosen."""

    model: ForecastModel
    states: list[AssetState]
    choice: Choice


def fit_model(
    series: Sequence[Series], *, horizon: int, seasons: tuple[int, ...], lags: int
) -> Fit:
    """Fit the forecast of all assets in `series`, which share their tags."""
    rows = [one.values[: one.trained] for one in series]
    start, scale = _level_and_scale(np.concatenate(rows))
    longest = max(len(values) for values in rows)
    seasons = tuple(s for s in seasons if s <= longest)
    lesson = Lesson(
        memory=plan_memory(seasons, sum(len(values) for values in rows), lags),
        seasons=seasons,
        horizon=min(horizon, max(1, longest // HORIZON_SHARE)),
        start=start,
    )
    learned = learn(lesson, series)
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        # The solves are small: a second thread waits longer than it works.
        choice = choose(learned, scale, lesson.bases)
        weights = solve(training_sums(learned), scale, choice, lesson.bases)
        residual, spread = _held_back(lesson, learned, scale, choice, weights)
    conformal = _calibrate(residual, spread, scale, horizon)
    linear = _linear(lesson, _longer(weights, horizon), choice)
    model = ForecastModel(linear, conformal)
    tracker = conformal.init_state()
    states = [AssetState(end, tracker.copy()) for end in learned.ends]
    return Fit(model, states, choice)


def _level_and_scale(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each tag's mean and standard deviation, (M,) each; a constant tag's scale is 1."""
    level, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    still = scale <= 1e-12 * np.maximum(np.abs(level), 1e-300)
    return level, np.where(still, 1.0, scale)


def _linear(lesson: Lesson, weights: NDArray[np.float32], choice: Choice) -> LinearForecast:
    return LinearForecast(
        lesson.memory, lesson.seasons, weights, choice.base, lesson.start, lesson.gate
    )


def _longer(array: NDArray[np.float32], horizon: int) -> NDArray[np.float32]:
    """Return weights (M, F, H') with zeros up to `horizon`: the base alone goes on."""
    missing = horizon - array.shape[2]
    return np.pad(array, ((0, 0), (0, 0), (0, missing)))


def _held_back(
    lesson: Lesson,
    learned: Learned,
    scale: FloatArray,
    choice: Choice,
    weights: NDArray[np.float32],
) -> tuple[FloatArray, FloatArray]:
    """Return residuals (k, H, M) of forecasts that had not seen them, and spreads (k, M, P)."""
    block, features, truth = learned.kept.joined()
    residual = np.full(truth.shape, np.nan)
    for fold in make_folds(learned):
        rows = np.flatnonzero(block == fold.judge)
        if fold.judge != learned.judging:
            weights = solve(fold.train, scale, choice, lesson.bases)
        linear = _linear(lesson, weights, choice)
        part = Features(features.z[:, rows], *(f[rows] for f in features[1:]))
        residual[rows] = truth[rows] - linear.forecast(part, lesson.horizon)
    if not np.isfinite(residual).any():  # too few rows to hold any back
        residual = truth - _linear(lesson, weights, choice).forecast(features, lesson.horizon)
    return residual, features.spread


def _calibrate(
    residual: FloatArray, spread: FloatArray, scale: FloatArray, horizon: int
) -> Conformal:
    """Return the quantiles of held-back residuals (k, H', M), grown on to `horizon`."""
    fitted = residual.shape[1]
    dispersion = fit_dispersion(residual, spread, knots_of(fitted), 1e-9 * scale)
    offsets = fit_offsets(residual / dispersion.at_steps(spread, fitted))
    growth = np.sqrt(np.arange(fitted + 1, horizon + 1) / fitted)  # as a random walk's
    beyond = offsets[:, -1:] * growth[None, :, None].astype(np.float32)
    return Conformal(np.concatenate([offsets, beyond], axis=1), dispersion)
