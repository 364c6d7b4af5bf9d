"""The recurrences, their blocks, heads and losses; `memory` and `readout` need no torch.

Names are imported on first use, so that the torch-free modules of this folder stay so.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Cell": "cell",
    "ComplexSSM": "ssm",
    "FixedSSM": "ssm",
    "SelectiveSSM": "ssm",
    "MambaBlock": "block",
    "MambaMixer": "block",
    "CausalNorm": "normalise",
    "QuantileHead": "heads",
    "horizon_basis": "basis",
    "pinball_loss": "losses",
    "huber_loss": "losses",
    "hybrid_loss": "losses",
    "masked_mean": "losses",
    "SensorSSM": "network",
    "LSTMBlock": "recurrent",
    "AttentionBlock": "transformer",
}

__all__ = list(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from sensorssm.models.basis import horizon_basis as horizon_basis
    from sensorssm.models.block import MambaBlock as MambaBlock
    from sensorssm.models.block import MambaMixer as MambaMixer
    from sensorssm.models.cell import Cell as Cell
    from sensorssm.models.heads import QuantileHead as QuantileHead
    from sensorssm.models.losses import huber_loss as huber_loss
    from sensorssm.models.losses import hybrid_loss as hybrid_loss
    from sensorssm.models.losses import masked_mean as masked_mean
    from sensorssm.models.losses import pinball_loss as pinball_loss
    from sensorssm.models.network import SensorSSM as SensorSSM
    from sensorssm.models.normalise import CausalNorm as CausalNorm
    from sensorssm.models.recurrent import LSTMBlock as LSTMBlock
    from sensorssm.models.ssm import ComplexSSM as ComplexSSM
    from sensorssm.models.ssm import FixedSSM as FixedSSM
    from sensorssm.models.ssm import SelectiveSSM as SelectiveSSM
    from sensorssm.models.transformer import AttentionBlock as AttentionBlock


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sensorssm.models' has no attribute {name!r}")
    value = getattr(import_module(f"sensorssm.models.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
