"""A selective SSM on what a linear memory leaves: starts at no effect and must earn its place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.config import ModelConfig, ResidualConfig
from sensorssm.errors import ModelFileError, ShapeError
from sensorssm.estimators.gate import Residual, Rows, gain, shrinkage, split_validation
from sensorssm.models.basis import horizon_basis

if TYPE_CHECKING:  # only training needs torch
    from sensorssm.estimators.training import Progress

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float32]

#: Prefix of the network's arrays among those of the correction.
_NETWORK = "network."


class SelectiveResidual:
    """Correct a linear forecast by a selective SSM over causal features of every row.

    Parameters
    ----------
    config : ResidualConfig or None
        Sizes of the network and its training; None for the defaults.
    random_state : int
        Seed of everything random; two fits on the same rows are equal.

    Attributes
    ----------
    gain_ : float
        Relative improvement of the pinball loss at 0.5 over the linear forecast on rows that
        neither trained nor tuned it, mean over blocks.
    kept_ : bool
        Whether that gain is above zero by one standard error, the blocks agree on it, and the
        squared error is no worse. If not, every correction is exactly 0
    share_ : array, shape (M,)
        How much of its correction each tag takes, 0 to 1.
    """

    def __init__(self, config: ResidualConfig | None = None, random_state: int = 0) -> None:
        self.config = config or ResidualConfig()
        self.random_state = random_state
        self.gain_, self.kept_ = 0.0, False

    def fit(
        self,
        inputs: ArrayLike,
        residual: Residual,
        *,
        train_rows: ArrayLike,
        valid_rows: ArrayLike,
        starts: ArrayLike,
        horizon: int,
        progress: Progress | None = None,
    ) -> Self:
        """Learn the correction, then judge it.

        Parameters
        ----------
        inputs : array, shape (n, F); causal, scaled features of each row, NaN read as 0
        residual : target minus linear forecast in scale units, by origin
        train_rows, valid_rows : array of int; the origins that may be used
        starts : array of int; the rows where an asset's record begins
        horizon : int, H
        progress : told about every validation of the training run
        """
        x = squashed(inputs)
        train_rows, valid_rows = np.asarray(train_rows, np.intp), np.asarray(valid_rows, np.intp)
        starts = np.union1d([0], np.asarray(starts, np.intp)).astype(np.intp)
        tags = np.asarray(residual(np.concatenate([train_rows, valid_rows])[:1])).shape[2]
        self._begin(x.shape[1], tags, horizon)
        split = split_validation(valid_rows, starts, horizon=horizon, blocks=self.config.blocks)
        enough = min(len(x), len(train_rows)) >= self.config.min_rows
        if not (enough and split.is_usable):
            logger.info("no selective correction: %d rows to learn from", len(train_rows))
            return self

        from sensorssm.estimators.correction import CorrectionTraining

        training = CorrectionTraining(self._sizes, self.config, self.random_state, x, starts)
        self._take(training.run(residual, train_rows, split.tune, progress))
        raw = np.concatenate([self._raw(record)[0] for record in np.split(x, starts[1:])])

        def tried(rows: Rows) -> tuple[NDArray[Any], FloatArray]:
            return residual(rows), self.expand(self._believed(raw[rows]))

        self.limit_ = np.abs(raw[train_rows]).max(axis=0)
        self.share_ = np.ones(tags)
        self.share_ = shrinkage(*tried(split.tune))
        gained = gain([tried(block) for block in split.blocks])
        self.gain_, self.kept_ = gained.mean, gained.is_earned
        logger.info("selective correction: gain %.4f, kept: %s", self.gain_, self.kept_)
        return self

    def correct(
        self, inputs: ArrayLike, state: Mapping[str, FloatArray] | None = None
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return each row's coefficients and the state after the last, of one asset.

        Parameters
        ----------
        inputs : array, shape (n, F); a whole record, a chunk of it or one row, all give the same
        state : from the call before; None at the start of a record

        Returns
        -------
        coefficients : array float32, shape (n, K, M), for `expand`
        state : dict of arrays, empty when the correction was not kept
        """
        x = squashed(inputs)
        if x.shape[1] != self.inputs_:
            raise ShapeError(
                f"inputs have {x.shape[1]} columns; this was fitted on {self.inputs_}."
            )
        if not self.kept_:
            return np.zeros((len(x), *self.limit_.shape), np.float32), {}
        raw, new = self._raw(x, state)
        return self._believed(raw), new

    def deltas(
        self, inputs: ArrayLike, state: Mapping[str, FloatArray] | None = None
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return delta (n, C) at each row of every channel of every block, positive, no unit.

        The state is that of `correct`, and comes out as from there. C is 0 where nothing was kept.
        """
        x = squashed(inputs)
        if not self.kept_:
            return np.empty((len(x), 0), np.float32), {}
        deltas, new = self._cell.deltas(x, state)
        return deltas.reshape(len(x), -1), new

    def expand(self, coefficients: NDArray[Any]) -> FloatArray:
        """Return the corrections (k, H, M), in scale units, of coefficients (k, K, M)."""
        return np.einsum("kbm,bh->khm", coefficients, self.basis_).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything fitted, as arrays by name; the network only when it was kept."""
        fitted = {
            "sizes": np.array([self.inputs_, self.tags_, self.horizon_], np.int64),
            "gain": np.array([self.gain_, float(self.kept_)]),
            "share": self.share_,
            "limit": self.limit_,
            "basis": self.basis_,
        }
        if self.kept_:
            fitted |= {_NETWORK + name: value for name, value in self._weights.items()}
        return fitted

    @classmethod
    def from_arrays(
        cls, config: ResidualConfig | Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Self:
        """Return the fitted object that `arrays` came from; `config` may be its dictionary.

        Raises
        ------
        ModelFileError : an array is missing or does not fit the configuration.
        """
        new = cls(
            config if isinstance(config, ResidualConfig) else ResidualConfig.from_dict(config)
        )
        try:
            new._begin(*(int(size) for size in arrays["sizes"]))
            new.gain_, new.kept_ = float(arrays["gain"][0]), bool(arrays["gain"][1])
            new.share_, new.limit_, new.basis_ = (arrays[k] for k in ("share", "limit", "basis"))
            if new.kept_:
                own = {k: v for k, v in arrays.items() if k.startswith(_NETWORK)}
                new._take({k.removeprefix(_NETWORK): v for k, v in own.items()})
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"the arrays of the selective correction do not fit its settings: {error}. "
                "Fit and save the model again."
            ) from error
        return new

    def _begin(self, inputs: int, tags: int, horizon: int) -> None:
        self.inputs_, self.tags_, self.horizon_ = inputs, tags, horizon
        self.gain_, self.kept_ = 0.0, False
        self.basis_ = horizon_basis(horizon, self.config.basis)
        self.share_ = np.zeros(tags)
        self.limit_ = np.zeros((len(self.basis_), tags), np.float32)

    @property
    def _sizes(self) -> ModelConfig:
        return ModelConfig(
            inputs=self.inputs_,
            targets=self.tags_,
            horizon=self.horizon_,
            basis=self.config.basis,
            dim=self.config.dim,
            depth=self.config.depth,
            state_size=self.config.state_size,
        )

    def _take(self, weights: dict[str, NDArray[Any]]) -> None:
        from sensorssm.models.cell import Cell  # compiles; only a kept correction needs it

        self._weights, self._cell = weights, Cell.from_weights(weights, self._sizes)

    def _raw(
        self, x: FloatArray, state: Mapping[str, FloatArray] | None = None
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Return the network's coefficients (n, K, M) of one asset's rows, and the new state."""
        flat, new = self._cell.run(x, state)
        return flat.reshape(len(x), *self.limit_.shape), new

    def _believed(self, raw: FloatArray) -> FloatArray:
        """Hold coefficients (k, K, M) to what training saw, and take each tag's share of them."""
        return (np.clip(raw, -self.limit_, self.limit_) * self.share_).astype(np.float32)


def squashed(inputs: ArrayLike) -> FloatArray:
    """Return float32 rows without NaN; a spike of 100 scales comes in as 5, not as 100."""
    x = np.asarray(inputs, np.float32)
    if x.ndim != 2:
        raise ShapeError(f"inputs have shape {x.shape}; wanted (rows, features).")
    return np.arcsinh(np.nan_to_num(x, posinf=0.0, neginf=0.0))
