"""An online state as bytes: safetensors with a checked head; restoring runs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sensorssm.errors import ModelFileError
from sensorssm.scoring import SEEN

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector, SSMForecaster

VERSION = 2
_HEAD = "head"


def pack(head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return `arrays` and a JSON-ready `head` as safetensors bytes."""
    text = json.dumps({"version": VERSION, **head}, sort_keys=True).encode()
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save({**tensors, _HEAD: np.frombuffer(text, dtype=np.uint8)})


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the head and arrays that `pack` took.

    Raises
    ------
    ModelFileError : bytes that are damaged, or of another version
    """
    try:
        arrays = load(content)
        head = json.loads(arrays.pop(_HEAD).tobytes())
        version = head["version"]
    except (SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            f"the bytes are not a stepper's snapshot ({error!r}); start anew or restore a copy"
        ) from error
    if version != VERSION:
        raise ModelFileError(f"the snapshot is of version {version!r}, this one reads {VERSION}")
    return head, arrays


def check_state(
    arrays: Mapping[str, NDArray[Any]], like: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return copies of the detector's `state` (A, S) and `time` (A,), fit to be stepped on.

    Raises
    ------
    ModelFileError : an array that is missing, of another shape or type than in `like`, or that
        holds what no reading leaves behind: compiled code trusts it
    """
    for name, own in like.items():
        found = arrays.get(name)
        if found is None or found.shape != own.shape or found.dtype != own.dtype:
            raise ModelFileError(f"the snapshot's {name} does not fit {own.dtype} {own.shape}")
    state = arrays["state"].copy()
    if not np.isfinite(state).all() or (state[:, SEEN] < 0).any():
        raise ModelFileError(
            "the snapshot's state holds values that no reading leaves behind; it is damaged: "
            "restore a copy, or start anew"
        )
    return state, arrays["time"].copy()


def fingerprint(model: SSMDetector | SSMForecaster) -> str:
    """Return a hash of a fitted model: a state only fits the coefficients, tags and period it
    was made with."""
    head, arrays = _coefficients(model)
    described = [list(model.tags_), model.period_s_, head]
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=repr).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _coefficients(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a model's states depend on, and not where any asset stands."""
    if hasattr(model, "cell_"):  # a detector: its threshold may be moved under a running state
        return {}, model.cell_._asdict()
    config, arrays = model._to_parts()
    standing = ("assets", "ends")
    return (
        {name: part for name, part in config.items() if name not in standing},
        {name: part for name, part in arrays.items() if not name.startswith("state.")},
    )
