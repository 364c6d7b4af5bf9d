"""Model folders without pickle: safetensors, JSON and a checksum; nothing read is ever executed."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from sensorssm.errors import MissingFileError, ModelFileError

SCHEMA = 1
MAX_CONFIG_BYTES = 16 * 2**20
CONFIG_FILE = "model.json"
TENSOR_FILE = "model.safetensors"

Arrays = Mapping[str, NDArray[Any]]


class ModelFolder:
    """Gives `save` and `load` to an estimator that has `_to_parts` and `_from_parts`."""

    def _to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the fitted state as a JSON-ready dict and named arrays."""
        raise NotImplementedError

    @classmethod
    def _from_parts(cls, config: Mapping[str, Any], arrays: Arrays) -> Self:
        """Return the estimator that `_to_parts` took apart."""
        raise NotImplementedError

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to the folder `path`: safetensors and JSON, no pickle."""
        config, arrays = self._to_parts()
        save_parts(path, type(self).__name__, config, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote.

        Raises
        ------
        MissingFileError : no such folder or file
        ModelFileError : a damaged, foreign or hostile folder
        """
        config, arrays = load_parts(path, cls.__name__)
        try:
            return cls._from_parts(config, arrays)
        except ModelFileError:
            raise
        except (LookupError, TypeError, ValueError, ArithmeticError, MemoryError) as error:
            raise ModelFileError(
                f"{path}: the parts do not make a {cls.__name__} ({error!r}). Fit and save it again."
            ) from error


def save_parts(
    path: str | os.PathLike[str], kind: str, config: Mapping[str, Any], arrays: Arrays
) -> None:
    """Write one model folder; the JSON, written last, carries the tensors' SHA-256.

    Raises
    ------
    ModelFileError : a file stands where the folder should be, or a setting that JSON cannot hold;
        nothing is written then
    """
    folder = Path(path)
    tensors = save_tensors({name: np.ascontiguousarray(a) for name, a in arrays.items()})
    text = _described(kind, config, tensors)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ModelFileError(f"{folder}: a file stands there, wanted a folder's name") from error
    _replace(folder / TENSOR_FILE, tensors)
    _replace(folder / CONFIG_FILE, text.encode())


def _described(kind: str, config: Mapping[str, Any], tensors: bytes) -> str:
    return json.dumps(
        {
            "schema": SCHEMA,
            "kind": kind,
            "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
            "config": config,
        },
        indent=1,
        sort_keys=True,
        allow_nan=False,
        default=_plain,
    )


def _plain(setting: Any) -> Any:
    """Return a setting as JSON holds it: numpy's numbers as numbers, arrays as lists."""
    if isinstance(setting, np.generic | np.ndarray):
        return setting.tolist()
    if isinstance(setting, np.random.RandomState | np.random.Generator):
        return None  # where a generator stood is no part of what was learnt
    raise ModelFileError(f"a setting of type {type(setting).__name__} cannot be saved: {setting!r}")


def load_parts(
    path: str | os.PathLike[str], kind: str
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read and check one model folder; nothing in it is ever executed."""
    folder = Path(path)
    head = _read_head(folder)
    if head.get("schema") != SCHEMA:
        raise ModelFileError(
            f"{folder}: schema {head.get('schema')!r}, this version reads {SCHEMA}"
        )
    if head.get("kind") != kind:
        raise ModelFileError(f"{folder}: holds a {head.get('kind')!r}, wanted a {kind!r}")
    tensors = _read(folder / TENSOR_FILE)
    if hashlib.sha256(tensors).hexdigest() != head.get("tensors_sha256"):
        raise ModelFileError(f"{folder}: {TENSOR_FILE} does not match its checksum; restore a copy")
    try:
        arrays = load_tensors(tensors)
    except SafetensorError as error:
        raise ModelFileError(f"{folder}: {TENSOR_FILE} cannot be read ({error})") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelFileError(f"{folder}: tensor {name!r} is not finite; restore a copy")
    return head["config"], arrays


def under(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names start with `prefix`, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _read_head(folder: Path) -> dict[str, Any]:
    text = _read(folder / CONFIG_FILE, limit=MAX_CONFIG_BYTES)
    try:
        head = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{folder}: {CONFIG_FILE} is not JSON ({error})") from error
    if not isinstance(head, dict) or not isinstance(head.get("config"), dict):
        raise ModelFileError(f"{folder}: {CONFIG_FILE} is not a model description")
    return head


def _finite(number: str) -> float:
    """Return a number of a JSON text; ValueError for one that is not finite: NaN, 1e999."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is not finite")
    return value


def _read(path: Path, limit: int | None = None) -> bytes:
    try:
        if limit is not None and path.stat().st_size > limit:
            raise ModelFileError(f"{path}: larger than {limit} bytes, refused")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f"{path}: no such file. Is {path.parent} a model folder?") from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror})") from error


def _replace(path: Path, content: bytes) -> None:
    """Write `content` so that a crash leaves the old file or the new one, never half of one."""
    draft = path.with_name(path.name + ".tmp")
    with open(draft, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
