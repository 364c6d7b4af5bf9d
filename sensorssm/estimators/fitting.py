"""From readings to a `ForecastModel`: plan the memory, learn, choose, solve, calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from sensorssm.estimators.asset_state import AssetState
from sensorssm.estimators.attempt import Attempt, attempt, since_reading
from sensorssm.estimators.forecast_model import ForecastModel, context_of
from sensorssm.estimators.learning import Lesson, Series
from sensorssm.estimators.own_models import reweighed
from sensorssm.estimators.own_readouts import with_own_readouts
from sensorssm.estimators.selective_fitting import fit_correction
from sensorssm.estimators.spikes import distrust
from sensorssm.estimators.static_effect import with_static
from sensorssm.models.linear import continued
from sensorssm.models.memory_plan import plan_memory
from sensorssm.models.reach import Reach
from sensorssm.scoring.conformal import Conformal, fit_offsets
from sensorssm.scoring.dispersion_fit import fit_dispersion

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NO_ROWS = np.zeros(0, dtype=np.int64)

# Of the longest asset's rows, the share that a readout's horizon may take, and the share that a
# whole season of it may; the last season of the forecast goes on.
HORIZON_SHARE, SEASON_SHARE = 0.25, 0.4
# Holes in the readings below this share are not worth a second pass.
FEW_HOLES = 0.01


@dataclass(frozen=True)
class Fit:
    """A fitted model, where each asset stands, and what it was solved from.

    `own` are the models of the assets, by number, that have a readout of their own; `residual`
    (k, H', M) are those of the whole model at the attempt's kept rows.
    """

    model: ForecastModel
    own: dict[int, ForecastModel]
    states: list[AssetState]
    attempt: Attempt
    residual: FloatArray


def fit_model(
    series: Sequence[Series],
    *,
    horizon: int,
    seasons: Sequence[tuple[int, ...]],
    lags: int,
    gated: bool = True,
    selective: bool = False,
    seed: int = 0,
    threads: int = 1,
    per_asset: bool = False,
    static: FloatArray | None = None,
) -> Fit:
    """Fit the forecast of all assets in `series`, which share their tags.

    `seasons` are sets of seasons to try, the plainest first; the first that is not surely beaten
    stays. `gated` tries to doubt spikes, `selective` a selective model on what the linear one leaves;
    each is kept if it is better. `per_asset` gives assets readouts of their own likewise,
    `static` (A, K), numbers that never change, readouts by those.
    """
    rows = [one.values[: one.trained] for one in series]
    start, scale = _level_and_scale(np.concatenate(rows))
    lengths = [len(values) for values in rows]
    steps = _steps_learned(horizon, seasons, max(lengths))
    lessons = [
        Lesson(
            memory=plan_memory(some, sum(lengths), lags),
            seasons=some,
            horizon=steps,
            start=start,
            threads=threads,
        )
        for some in dict.fromkeys(tuple(s for s in some if s <= max(lengths)) for some in seasons)
    ]
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        # The products are small: a second thread waits longer than it works.
        best = _best_attempt(lessons, series, scale, gated)
        if static is not None:
            best = with_static(best, static)
        if per_asset:
            best = with_own_readouts(best)
    correction, residual = None, best.residual
    if best.lesson.horizon == horizon:
        correction, residual = fit_correction(best, series, selective=selective, seed=seed)
    conformal = calibrate(best, residual, horizon)
    longer = continued(best.linear.weights, horizon, best.linear.seasons)
    linear = replace(best.linear, weights=longer)
    reach = _reach(best, residual, conformal.dispersion.knots)
    model = ForecastModel(linear, reach, conformal, correction)
    own = {asset: reweighed(model, one.linear.weights) for asset, one in best.own.items()}
    ends = []
    for asset, one in enumerate(series):
        linear = best.linear_of(asset)
        its = model if linear is best.linear else reweighed(model, linear.weights)
        ends.append(_end(its, one))
    return Fit(model, own, ends, best, residual)


def _steps_learned(horizon: int, seasons: Sequence[tuple[int, ...]], rows: int) -> int:
    """Return the steps of a horizon that so many rows can teach."""
    whole = (season for some in seasons for season in some if season <= SEASON_SHARE * rows)
    return min(horizon, max(1, int(HORIZON_SHARE * rows), *whole))


def _end(model: ForecastModel, series: Series) -> AssetState:
    """Return where an asset stands after its last row; its intervals are as they were fitted."""
    state = model.start()
    for _ in model.points(series.values, series.elapsed, state, _NO_ROWS, 1):
        pass
    return state


def _best_attempt(
    lessons: Sequence[Lesson], series: Sequence[Series], scale: FloatArray, gated: bool
) -> Attempt:
    """Learn each lesson; again with holes filled by what was learned, and, `gated`, with spikes
    distrusted, where there are any; keep what does better on what was held back."""
    best = attempt(lessons[0], series, scale)
    for lesson in lessons[1:]:
        best = best.or_better(attempt(lesson, series, scale))
    holes = np.mean([np.isnan(one.values).mean() for one in series])
    if holes > FEW_HOLES:
        filled = replace(best.lesson, guess=best.linear)
        best = best.or_better(attempt(filled, series, scale))
    gate, doubted = distrust(best, series) if gated else (None, series)
    if gate is not None:
        doubting = replace(best.lesson, guess=best.linear, gate=gate)
        best = best.or_better(attempt(doubting, doubted, scale))
    return best


def _level_and_scale(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each tag's mean and standard deviation, (M,) each; a constant tag's scale is 1."""
    level, scale = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    still = scale <= 1e-12 * np.maximum(np.abs(level), 1e-300)
    return level, np.where(still, 1.0, scale)


def calibrate(best: Attempt, residual: FloatArray, horizon: int) -> Conformal:
    """Return the quantiles of held-back residuals (k, H', M), grown on to `horizon`.

    They may be less than the attempt's own, by what was added to its forecasts.
    """
    context, fitted = context_of(best.seen, best.linear), residual.shape[1]
    residual, told = _since_reading(best, residual)
    dispersion = fit_dispersion(residual, told, context, 1e-9 * best.scale, best.horizons)
    steps = np.broadcast_to(np.arange(1, fitted + 1)[:, None], residual.shape)
    middle, size = dispersion.at_steps(told, context, steps)
    offsets = fit_offsets((residual + told - middle) / size)
    growth = np.sqrt(np.arange(fitted + 1, horizon + 1) / fitted)  # as a random walk's
    beyond = offsets[:, -1:] * growth[None, :, None].astype(np.float32)
    return Conformal(np.concatenate([offsets, beyond], axis=1), dispersion)


def _reach(best: Attempt, residual: FloatArray, knots: IntArray) -> Reach:
    """Return how far forecasts may reach, by held-back residuals (k, H', M) as in `calibrate`."""
    residual, told = (part[:, knots - 1] for part in _since_reading(best, residual))
    return Reach.of(knots, residual, told - best.seen.last[:, None])


def _since_reading(best: Attempt, residual: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return residuals as in `calibrate`, and their forecasts, by the steps since each tag's last
    reading; NaN where unknown."""
    told, waited = best.told + (best.residual - residual), best.seen.waited
    return since_reading(residual, waited), since_reading(told, waited)
