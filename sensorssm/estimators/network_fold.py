"""A trained network as a fold over rows: numpy in and out, in each tag's unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sensorssm.config import ModelConfig
from sensorssm.errors import ModelFileError
from sensorssm.estimators.fold import State
from sensorssm.estimators.folder import Arrays
from sensorssm.estimators.scale import Scale
from sensorssm.estimators.training import one_thread
from sensorssm.models.network import SensorSSM

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Readings further than this many spreads off are read as this far: float32 has no more to give.
FARTHEST = 1e6
#: A missing reading, to the network and in its state.
MISSING = np.inf
_NETWORK = "network."
_SEEN = "seen"
_BEFORE = "before"


class NetworkFold:
    """A network that reads each tag by itself, and the mean and spread its inputs are scaled by.

    The tags are the network's batch; its inputs are the last readings of one tag, the newest first.
    What is seen of a row is its encoding of each tag, (M, S): features (D), level and scale.

    `scales` (A + 1, M) are those of all assets together and of each of `assets`. The fold is that
    of an asset it does not know; `of` gives that of one it does, with its own scale.
    """

    def __init__(
        self, network: SensorSSM, scales: Scale, assets: Sequence[str] = (), known: int = 0
    ) -> None:
        self.network = network.cpu().eval().requires_grad_(False)
        self.scales, self.assets = scales, tuple(assets)
        self.scale = Scale(*(part[known] for part in scales))

    def of(self, asset: str) -> NetworkFold:
        """Return the fold of an asset, this one where it is not known."""
        if asset not in self.assets:
            return self
        known = 1 + self.assets.index(asset)
        return NetworkFold(self.network, self.scales, self.assets, known)

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
        tags = len(self.centre)
        state = {k: part.numpy() for k, part in self.network.init_state(tags).items()}
        seen = np.zeros((tags, self.network.config.dim + 2), np.float32)
        seen[:, -1] = 1.0
        before = np.full((tags, self.network.config.inputs - 1), MISSING, np.float32)
        return state | {_SEEN: seen, _BEFORE: before}

    def advance(
        self, values: FloatArray, elapsed: FloatArray, state: State, rows: IntArray
    ) -> tuple[NDArray[np.float32], State]:
        """Read values; return the encodings at `rows`, (k, M, S), and the state after all."""
        x = torch.cat([torch.from_numpy(state[_BEFORE]), to_network(values, self.scale)], dim=1)
        steps = steps_between(elapsed)
        steps = None if steps is None else steps.expand(len(x), -1)
        own = {k: torch.from_numpy(v) for k, v in state.items() if k not in (_SEEN, _BEFORE)}
        with torch.no_grad(), one_thread():
            encoding, after = self.network.encode(lagged(x, self.network), own, steps)
        seen = torch.cat(encoding, dim=-1).transpose(0, 1).numpy()
        kept = {_SEEN: seen[-1].copy(), _BEFORE: x[:, len(values) :].numpy().copy()}
        return seen[rows], {k: part.numpy() for k, part in after.items()} | kept

    def look(self, state: State) -> NDArray[np.float32]:
        """Return the last row's encoding, (1, M, S)."""
        return state[_SEEN][None]

    def tell(
        self, seen: NDArray[Any], horizon: int, levels: FloatArray | None = None
    ) -> FloatArray:
        """Return forecasts (k, H, M), with levels (k, H, M, Q), in each tag's unit.

        Levels between those the network was trained for are read off the line between them, and
        those beyond are the outermost.
        """
        features, level, scale = split(torch.from_numpy(np.ascontiguousarray(seen)))
        with torch.no_grad(), one_thread():
            if levels is None:
                told = self._centre(features, horizon)[..., None].double().numpy()
            else:
                fan = self.network.head(features)[:, :, :horizon, 0].double().numpy()
                told = fan @ _between(np.array(self.network.config.levels), levels)
        told = level.double().numpy()[..., None] + scale.double().numpy()[..., None] * told
        centre, spread = (part[:, None, None] for part in self.scale)
        answer = np.swapaxes(centre + spread * told, 1, 2)
        return answer[..., 0] if levels is None else answer

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings and arrays, for a model folder."""
        weights = {_NETWORK + k: part.numpy() for k, part in self.network.state_dict().items()}
        config = {"network": self.network.config.to_dict(), "assets": list(self.assets)}
        return config, weights | self.scales._asdict()

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
        scales, assets = Scale(arrays["centre"], arrays["spread"]), config["assets"]
        tags = scales.centre.shape[-1]
        if {part.shape for part in scales} != {(len(assets) + 1, tags)}:
            raise ModelFileError(f"centre {scales.centre.shape} for {len(assets)} assets")
        return cls(network, scales, assets)

    def _centre(self, features: Tensor, horizon: int) -> Tensor:
        """Return the central curves (k, M, H) of only the steps asked for."""
        head = self.network.head
        return head.coefficients(features)[..., 0] @ head.basis[:, :horizon]


def to_network(values: FloatArray, scale: Scale) -> Tensor:
    """Return (n, M) readings as float32 (M, n), in spreads, `MISSING` where there is none."""
    scaled = np.clip(scale.strip(values), -FARTHEST, FARTHEST)
    scaled = np.where(np.isfinite(values), scaled, MISSING)
    return torch.from_numpy(np.ascontiguousarray(scaled.T, np.float32))


def lagged(x: Tensor, network: SensorSSM) -> Tensor:
    """Return each row's inputs (B, n, F), the newest first, of readings (B, F - 1 + n)."""
    return x.unfold(1, network.config.inputs, 1).flip(-1)


def steps_between(elapsed: FloatArray) -> Tensor | None:
    """Return `elapsed` as (1, n), or None where every row is one step after the one before."""
    if np.all(elapsed == 1.0):
        return None
    return torch.from_numpy(elapsed.astype(np.float32))[None]


def split(encodings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the features (..., D), the level and the scale (..., 1) of encodings (..., S)."""
    features, level, scale = encodings.split([encodings.shape[-1] - 2, 1, 1], dim=-1)
    return features, level, scale


def _between(trained: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the matrix (trained, Q) that reads `levels` off the line between trained ones."""
    return np.stack([np.interp(levels, trained, unit) for unit in np.eye(len(trained))])
