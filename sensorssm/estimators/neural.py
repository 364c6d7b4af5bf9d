"""NeuralForecaster: one trained network from readings to quantiles, its layers of one kind."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sensorssm.config import (
    LAYERS,
    PRECISIONS,
    Layer,
    ModelConfig,
    Precision,
    TrainingConfig,
)
from sensorssm.errors import ConfigError
from sensorssm.estimators.checks import check_steps
from sensorssm.estimators.fold import Fold
from sensorssm.estimators.folder import Arrays
from sensorssm.estimators.learning import Series
from sensorssm.estimators.peer import Peer

if TYPE_CHECKING:
    from sensorssm.estimators.network_fold import NetworkFold

logger = logging.getLogger(__name__)

#: Levels that are trained; 0.5 is the point forecast.
LEVELS = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)
#: Curves over the horizon at most, half of them cosines: a daily wave of 24 steps over 720 is one.
CURVES = 128


class NeuralForecaster(Peer):
    """Forecast every tag by a network that is trained end to end on the pinball loss.

    The kinds of `layer` have everything else in common, so that a comparison is one of layers:
    the last `lags` readings normalised by their own past, `layers` residual blocks of `width`
    channels, a head of ordered quantiles on smooth curves over the horizon. Training takes random
    segments, stops early by the rows that are held back, and runs on a GPU when there is one. What
    is learned is one network for all assets and tags, which reads every tag by itself, in the spread
    that it has in its own asset; a missing reading is an input of its own. There is no season to
    set: the network must find it.

    Parameters
    ----------
    layer : "selective" (Mamba blocks, Algorithm 2), "fixed" (the same blocks, Algorithm 1), "s4d"
        (Algorithm 1 with complex rates: fading waves), "lstm" or "attention" (causal, over patches
        of the last `context` steps)
    horizon : steps to forecast
    lags : last readings of a tag that are the network's inputs at each step
    width, layers : channels between blocks; number of blocks
    context : attention only: steps that a step can look back on
    patch : attention only: steps between those that a step attends to; as many as `lags`, and the
        readings at them are patches, side by side, that end at the step itself. With 1 a step
        attends to every step before it
    span : time constant, in steps, of the mean and the scale that readings are normalised by
    steps : optimiser steps at most
    batch, segment : segments a step, and rows in each; the first third only fills the state
    learning_rate : of AdamW, along a cosine
    precision : "bfloat16" or "float32", of the products in training; "auto" is bfloat16 on a GPU
        that has it. Weights, states and rates are float32, and so is every forecast; a GPU's
        float32 is never TF32
    random_state : seed of everything random; two fits on the same rows are equal
    checkpoint : folder that keeps a running fit, at every validation; where the process is killed,
        the same `fit` on the same rows goes on from there, on a CPU to the same bits
    verbose : 0 is silent; 1 logs every validation, at the level of information

    Attributes
    ----------
    horizon_, tags_, n_features_in_, feature_names_in_ : what was fitted
    """

    def __init__(
        self,
        *,
        layer: Layer = "selective",
        horizon: int = 96,
        lags: int = 24,
        width: int = 32,
        layers: int = 2,
        context: int = 336,
        patch: int = 24,
        span: float = 256.0,
        steps: int = 200,
        batch: int = 64,
        segment: int = 192,
        learning_rate: float = 5e-3,
        precision: Precision = "auto",
        random_state: int | None = 0,
        checkpoint: str | None = None,
        verbose: int = 0,
    ) -> None:
        self.layer: Layer = layer
        self.horizon = horizon
        self.lags = lags
        self.width = width
        self.layers = layers
        self.context = context
        self.patch = patch
        self.span = span
        self.steps = steps
        self.batch = batch
        self.segment = segment
        self.learning_rate = learning_rate
        self.precision: Precision = precision
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.verbose = verbose

    if TYPE_CHECKING:
        _fold: NetworkFold

    def _check_settings(self) -> None:
        if self.layer not in LAYERS:
            raise ConfigError(f"layer={self.layer!r}, wanted one of {', '.join(LAYERS)}")
        if self.precision not in PRECISIONS:
            wanted = ", ".join(PRECISIONS)
            raise ConfigError(f"precision={self.precision!r}, wanted one of {wanted}")
        check_steps(horizon=self.horizon, lags=self.lags, width=self.width, layers=self.layers)
        check_steps(context=self.context, patch=self.patch, steps=self.steps)
        check_steps(batch=self.batch, segment=self.segment)
        self._sizes()
        self._training()

    def _sizes(self) -> ModelConfig:
        return ModelConfig(
            inputs=int(self.lags),
            targets=1,
            horizon=int(self.horizon),
            levels=LEVELS,
            basis=min(int(self.horizon), CURVES),
            layer=self.layer,
            dim=int(self.width),
            depth=int(self.layers),
            context=int(self.context),
            patch=int(self.patch),
            normalise=True,
            span=float(self.span),
        )

    def _training(self) -> TrainingConfig:
        return TrainingConfig(
            steps=int(self.steps),
            batch=int(self.batch),
            segment=int(self.segment),
            warm_up=int(self.segment) // 3,
            learning_rate=float(self.learning_rate),
        )

    def _learn(self, series: Mapping[str, Series], *, alone: bool) -> Fold:
        from sensorssm.estimators.network_training import learn_network

        return learn_network(
            series,
            self._sizes(),
            self._training(),
            seed=0 if self.random_state is None else int(self.random_state),
            progress=_log if self.verbose else None,
            checkpoint=None if self.checkpoint is None else str(self.checkpoint),
            precision=self.precision,
        )

    def _fold_of(self, asset: str) -> Fold:
        return self._fold.of(asset)

    @classmethod
    def _fold_from(cls, config: Mapping[str, Any], arrays: Arrays) -> Fold:
        from sensorssm.estimators.network_fold import NetworkFold

        return NetworkFold.from_parts(dict(config), arrays)


def _log(step: int, steps: int, loss: float) -> None:
    logger.info("step %d of at most %d: held-back pinball loss %.5f", step, steps, loss)
