"""An online state as bytes: safetensors with a checked head; restoring runs nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from sensorssm.errors import ModelFileError

VERSION = 1
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
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"the bytes are not a stepper's snapshot ({error!r}); start anew or restore a copy"
        ) from error
    if version != VERSION:
        raise ModelFileError(f"the snapshot is of version {version!r}, this one reads {VERSION}")
    return head, arrays


def fingerprint(arrays: Mapping[str, Any]) -> str:
    """Return a hash of a model's coefficients: a state only fits the model that made it."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
