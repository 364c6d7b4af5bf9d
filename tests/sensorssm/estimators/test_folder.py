"""Model folders: what is saved comes back, and anything damaged or foreign is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sensorssm.errors import MissingFileError, ModelFileError
from sensorssm.estimators.folder import load_parts, save_parts

CONFIG = {"horizon": 24, "tags": ["flow", "pressure"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_parts(tmp_path / "m", "Model", CONFIG, {"W": np.arange(6.0).reshape(2, 3)})
    return tmp_path / "m"


def test_parts_come_back_as_they_were(folder: Path) -> None:
    """Arrays bitwise, settings as JSON gives them."""
    config, arrays = load_parts(folder, "Model")
    assert config == CONFIG
    np.testing.assert_array_equal(arrays["W"], np.arange(6.0).reshape(2, 3))


def test_saving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """A model folder can be compared and cached by content."""
    save_parts(tmp_path / "n", "Model", CONFIG, {"W": np.arange(6.0).reshape(2, 3)})
    for name in ("model.json", "model.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "n" / name).read_bytes()


@pytest.mark.parametrize("cut", [0, 1, 8, 40, -1])
def test_a_cut_tensor_file_is_refused(folder: Path, cut: int) -> None:
    """A file that lost its end does not load, wherever it was cut."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelFileError, match="checksum"):
        load_parts(folder, "Model")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "not a model description"),
        ("[" * 100_000, "not JSON"),
        (json.dumps({"schema": 99, "config": {}}), "schema 99"),
        (json.dumps({"schema": 1, "kind": "Other", "config": {}}), "holds a 'Other'"),
    ],
    ids=["cut", "list", "deep", "newer", "other kind"],
)
def test_a_foreign_description_is_refused(folder: Path, text: str, said: str) -> None:
    """The message says what was found in the folder."""
    (folder / "model.json").write_text(text)
    with pytest.raises(ModelFileError, match=said):
        load_parts(folder, "Model")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_setting_that_is_not_finite_is_refused(folder: Path, number: str) -> None:
    """A threshold of NaN would load, and never alarm."""
    file = folder / "model.json"
    file.write_text(file.read_text().replace("24", number))
    with pytest.raises(ModelFileError, match="not finite"):
        load_parts(folder, "Model")


def test_a_huge_description_is_not_even_read(folder: Path) -> None:
    """A hostile file cannot fill the memory."""
    with open(folder / "model.json", "r+b") as file:
        file.truncate(2**30)  # sparse: costs no disk
    with pytest.raises(ModelFileError, match="larger than"):
        load_parts(folder, "Model")


def test_nan_weights_are_refused(tmp_path: Path) -> None:
    """A model that would answer NaN for ever does not load."""
    save_parts(tmp_path, "Model", {}, {"W": np.array([1.0, np.nan])})
    with pytest.raises(ModelFileError, match="'W' is not finite"):
        load_parts(tmp_path, "Model")


def test_a_pickle_in_the_tensors_place_is_refused(folder: Path) -> None:
    """Even with a matching checksum a pickle is only bytes that do not parse."""
    import hashlib

    evil = (
        b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    )
    (folder / "model.safetensors").write_bytes(evil)
    head = json.loads((folder / "model.json").read_text())
    head["tensors_sha256"] = hashlib.sha256(evil).hexdigest()
    (folder / "model.json").write_text(json.dumps(head))
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_parts(folder, "Model")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The path that is not there is in the message."""
    with pytest.raises(MissingFileError, match="nowhere"):
        load_parts(tmp_path / "nowhere", "Model")
