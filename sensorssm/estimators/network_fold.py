"""A trained network as a fold over rows: numpy in and out, in each tag's unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sensorssm.config import ModelConfig
from sensorssm.errors import ModelFileError
from sensorssm.estimators.base import Arrays
from sensorssm.estimators.fold import State
from sensorssm.estimators.scale import Scale
from sensorssm.estimators.training import one_thread
from sensorssm.models.network import SensorSSM

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Readings further than this many spreads off are read as this far: float32 has no more to give.
FARTHEST = 1e6
_NETWORK = "network."
_SEEN = "seen"


class NetworkFold:
    """A network, and the mean and spread of each tag that its inputs are scaled by.

    What is seen of a row is the network's encoding: features (D), level (M) and scale (M).
    """

    def __init__(self, network: SensorSSM, scale: Scale) -> None:
        self.network = network.cpu().eval().requires_grad_(False)
        self.scale = scale

    @property
    def horizon(self) -> int:
        """Steps that can be forecast."""
        return self.network.config.horizon

    @property
    def centre(self) -> FloatArray:
        """The mean of each tag, (M,)."""
        return self.scale.centre

    def start(self) -> State:
        """Return the network's first state, and a row's encoding that forecasts the mean."""
        config = self.network.config
        state = {k: part.numpy() for k, part in self.network.init_state(1).items()}
        parts = (np.zeros(config.dim + config.targets), np.ones(config.targets))
        return state | {_SEEN: np.concatenate(parts).astype(np.float32)}

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: State, rows: IntArray
    ) -> tuple[NDArray[np.float32], State]:
        """Read values; return the encodings at `rows`, (k, S), and the state after all."""
        x = to_network(values, self.scale)
        even = np.all(elapsed == 1.0)
        steps = None if even else torch.from_numpy(elapsed.astype(np.float32))[None]
        before = {k: torch.from_numpy(part) for k, part in state.items() if k != _SEEN}
        with torch.no_grad(), one_thread():
            encoding, after = self.network.encode(x[None], before, steps)
        seen = torch.cat(encoding, dim=-1)[0].numpy()
        return seen[rows], {k: part.numpy() for k, part in after.items()} | {_SEEN: seen[-1]}

    def look(self, state: State) -> NDArray[np.float32]:
        """Return the last row's encoding, (1, S)."""
        return state[_SEEN][None]

    def tell(
        self, seen: NDArray[Any], horizon: int, levels: FloatArray | None = None
    ) -> FloatArray:
        """Return forecasts (k, H, M), with levels (k, H, M, Q), in each tag's unit.

        Levels between those the network was trained for are read off the line between them, and
        those beyond are the outermost.
        """
        config = self.network.config
        parts = torch.from_numpy(seen).split([config.dim, config.targets, config.targets], dim=-1)
        level, scale = (part.double().numpy()[:, None] for part in parts[1:])
        with torch.no_grad(), one_thread():
            if levels is None:
                told = self._centre(parts[0], horizon).double().numpy()
            else:
                fan = self.network.head(parts[0])[:, :horizon].double().numpy()
                told = fan @ _between(np.array(config.levels), levels)
                level, scale = level[..., None], scale[..., None]
        shape = (-1,) if levels is None else (-1, 1)
        centre, spread = (part.reshape(shape) for part in self.scale)
        return centre + spread * (level + scale * told)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays, for a model folder."""
        weights = {_NETWORK + k: part.numpy() for k, part in self.network.state_dict().items()}
        return {"network": self.network.config.to_dict()}, weights | self.scale._asdict()

    @classmethod
    def from_parts(cls, config: dict[str, Any], arrays: Arrays) -> NetworkFold:
        """Return the fold that `to_parts` took apart.

        Raises
        ------
        ModelFileError : arrays that do not fit the settings.
        """
        network = SensorSSM(ModelConfig.from_dict(config["network"]))
        own = {k: torch.tensor(v) for k, v in arrays.items() if k.startswith(_NETWORK)}
        try:
            network.load_state_dict({k.removeprefix(_NETWORK): v for k, v in own.items()})
        except RuntimeError as error:
            raise ModelFileError(
                f"the weights do not fit the network's settings: {error}"
            ) from error
        return cls(network, Scale(arrays["centre"], arrays["spread"]))

    def _centre(self, features: torch.Tensor, horizon: int) -> torch.Tensor:
        """Return the central curves (k, H, M) of only the steps asked for."""
        head = self.network.head
        return torch.einsum("kbm,bh->khm", head.coefficients(features), head.basis[:, :horizon])


def to_network(values: FloatArray, scale: Scale) -> torch.Tensor:
    """Return (n, M) readings as a network reads them: float32, in spreads, NaN where missing."""
    scaled = np.clip(scale.strip(values), -FARTHEST, FARTHEST)
    return torch.from_numpy(scaled.astype(np.float32))


def _between(trained: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the matrix (trained, Q) that reads `levels` off the line between trained ones."""
    return np.stack([np.interp(levels, trained, unit) for unit in np.eye(len(trained))])
