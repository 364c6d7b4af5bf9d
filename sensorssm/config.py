"""Settings of networks and of their training: frozen, checked, unknown keys refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self

from sensorssm.errors import ConfigError

Layer = Literal["selective", "fixed", "s4d", "lstm", "attention"]

#: The layers a network can be stacked from: Mamba blocks with Algorithm 2 or 1, and their peers.
LAYERS: Final = ("selective", "fixed", "s4d", "lstm", "attention")

Precision = Literal["auto", "float32", "bfloat16"]

#: The numbers a network's products are trained in; "auto" is bfloat16 on a GPU that has it.
PRECISIONS: Final = ("auto", "float32", "bfloat16")


class _Settings:
    """What the frozen dataclasses below share: plain dictionaries in and out, checks by name."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON."""
        return asdict(self)  # pyright: ignore[reportArgumentType]

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Return the settings in `settings`; a list becomes a tuple, as JSON has no tuples.

        Raises
        ------
        ConfigError : a key is not a setting, or a value is out of range.
        """
        known = [field.name for field in fields(cls)]  # pyright: ignore[reportArgumentType]
        for key in settings:
            if key not in known:
                raise ConfigError.for_key(key, known, cls.__name__)
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})

    def _at_least(self, low: float, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not value >= low:
                raise ConfigError(
                    f"{type(self).__name__}.{name} is {value!r}; it must be at least {low}."
                )


@dataclass(frozen=True)
class ModelConfig(_Settings):
    """A network: embedding, `depth` blocks of one kind of layer, and a quantile head.

    Attributes
    ----------
    inputs : inputs per step, F.
    targets : how many of the inputs, from the first, are forecast; M.
    horizon : steps forecast from every step, H.
    levels : quantile levels of the forecast, increasing, in (0, 1); Q of them.
    basis : curves over the horizon that a forecast is a sum of, K; at most H are used.
    layer : "selective" (Algorithm 2), "fixed" (Algorithm 1), "s4d" (Algorithm 1 with complex
        rates, `state_size` / 2 of them a channel), "lstm" or "attention".
    dim, depth : channels between blocks; number of blocks.
    expand, state_size, conv_width, delta_rank : inside a Mamba block, as in Mamba's code;
        `delta_rank` 0 means ``ceil(dim / 16)``.
    heads, context, patch : attention only: heads, the steps that a step can look back on, and the
        steps between those of them that it attends to.
    normalise : whether every input is read as a tag: missing values allowed, centred and scaled
        by its own past, and the forecast given back in the tag's unit.
    span : time constant of that normalisation, in steps.
    """

    inputs: int
    targets: int
    horizon: int = 24
    levels: tuple[float, ...] = (0.5,)
    basis: int = 12
    layer: Layer = "selective"
    dim: int = 32
    depth: int = 2
    expand: int = 2
    state_size: int = 16
    conv_width: int = 4
    delta_rank: int = 0
    heads: int = 4
    context: int = 128
    patch: int = 1
    normalise: bool = False
    span: float = 256.0

    def __post_init__(self) -> None:
        self._at_least(0, "delta_rank")
        self._at_least(1, "inputs", "targets", "horizon", "basis", "dim", "depth", "expand")
        self._at_least(1, "state_size", "conv_width", "heads", "context", "patch", "span")
        if self.targets > self.inputs:
            raise ConfigError(
                f"ModelConfig.targets is {self.targets} with {self.inputs} inputs; the targets are "
                "the first inputs, so there cannot be more of them."
            )
        if self.layer not in LAYERS:
            raise ConfigError(f"ModelConfig.layer is {self.layer!r}; choose from {LAYERS}.")
        if self.layer == "attention" and self.dim % self.heads:
            raise ConfigError(f"ModelConfig.dim {self.dim} does not split into {self.heads} heads.")
        if self.layer == "attention" and self.patch > self.context:
            raise ConfigError(
                f"ModelConfig.context is {self.context}, which holds no patch of {self.patch} steps."
            )
        if self.layer == "s4d" and self.state_size % 2:
            raise ConfigError(
                f"ModelConfig.state_size {self.state_size} is odd; layer 's4d' has pairs of states."
            )
        inside = all(0 < level < 1 for level in self.levels)
        if not self.levels or not inside or sorted(set(self.levels)) != list(self.levels):
            raise ConfigError(
                f"ModelConfig.levels is {self.levels}; give increasing levels between 0 and 1."
            )

    @property
    def rank(self) -> int:
        """Rank of the map from a step's input to its delta."""
        return self.delta_rank or -(-self.dim // 16)


@dataclass(frozen=True)
class TrainingConfig(_Settings):
    """One training run: random segments, AdamW with a cosine schedule, early stop.

    Attributes
    ----------
    steps : optimiser steps at most.
    batch, segment, warm_up : segments per step; steps of a segment; steps at its beginning that
        only fill the state and are not judged, unless the asset's record begins there.
    learning_rate, weight_decay, clip : of AdamW; gradient norm it is clipped to.
    averaging : share of the running mean of the weights that a step keeps; the mean, not the last
        weights, is validated and kept. 0 for no averaging.
    check_every, patience : optimiser steps between validations; validations without a better one
        after which training stops.
    """

    steps: int = 400
    batch: int = 16
    segment: int = 192
    warm_up: int = 64
    learning_rate: float = 5e-3
    weight_decay: float = 0.05
    clip: float = 1.0
    averaging: float = 0.98
    check_every: int = 25
    patience: int = 6

    def __post_init__(self) -> None:
        self._at_least(0, "warm_up", "weight_decay")
        self._at_least(1, "steps", "batch", "segment", "check_every", "patience")
        if not (self.learning_rate > 0 and self.clip > 0):
            raise ConfigError("TrainingConfig.learning_rate and .clip must be positive.")
        if not 0 <= self.averaging < 1:
            raise ConfigError(
                f"TrainingConfig.averaging is {self.averaging}; it must be in [0, 1)."
            )
        if self.warm_up >= self.segment:
            raise ConfigError(
                f"TrainingConfig.warm_up is {self.warm_up}, which leaves nothing of a segment of "
                f"{self.segment} steps to learn from."
            )


@dataclass(frozen=True)
class ResidualConfig(_Settings):
    """The selective network that corrects a linear forecast, and how it is trained and judged.

    Attributes
    ----------
    dim, depth, state_size, basis : of the network, as in `ModelConfig`.
    blank_rows, blank_inputs : in training, the share of rows blanked, so that gaps are nothing
        new, and the share of inputs blanked for a whole segment, so that none is relied on alone.
    dropout : share of the features dropped before the head, in training.
    min_rows : rows below which nothing is tried.
    blocks : blocks of validation that judge the correction, at least 3.
    training : the training run.
    """

    dim: int = 32
    depth: int = 1
    state_size: int = 16
    basis: int = 12
    blank_rows: float = 0.05
    blank_inputs: float = 0.2
    dropout: float = 0.2
    min_rows: int = 300
    blocks: int = 6
    training: TrainingConfig = TrainingConfig()

    def __post_init__(self) -> None:
        self._at_least(1, "dim", "depth", "state_size", "basis", "min_rows")
        self._at_least(3, "blocks")
        for name in ("blank_rows", "blank_inputs", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"ResidualConfig.{name} is {getattr(self, name)}; it must be in [0, 1)."
                )

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Return the settings in `settings`, whose "training" may be a dictionary too."""
        training = settings.get("training")
        if isinstance(training, Mapping):
            settings = {**settings, "training": TrainingConfig.from_dict(training)}
        return super().from_dict(settings)
