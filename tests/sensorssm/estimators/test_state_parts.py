"""A saved state is refused unless it fits the model and could have come from readings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sensorssm.errors import ModelFileError
from sensorssm.estimators import SSMForecaster
from sensorssm.estimators.folder import load_parts, save_parts
from sensorssm.estimators.state_parts import checked_parts

Parts = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def model() -> SSMForecaster:
    rng = np.random.default_rng(0)
    readings = rng.normal(size=(200, 2))
    readings[rng.random(readings.shape) < 0.1] = np.nan
    return SSMForecaster(horizon=3, season=None).fit(readings)


def put(part: str, place: tuple[int, ...], value: float) -> Callable[[Parts], None]:
    def change(parts: Parts) -> None:
        parts[part][place] = value

    return change


HOSTILE: dict[str, Callable[[Parts], None]] = {
    "infinite": put("poles", (0, 0, 0), np.inf),
    "unknown": put("ring", (0, 0, 0), np.nan),
    "a level of no weight": put("slow", (0, 1), 0.0),
    "a wait below nothing": put("slow", (0, 4), -1.0),
    "a reading between slots": put("slow", (0, 5), 0.5),
    "a spread of negative weight": put("slow", (0, 7), -1.0),
    "a clock before the start": put("clock", (1,), -2.0),
    "a clock between slots": put("clock", (1,), 0.5),
    "a clock beyond counting": put("clock", (0,), 1e300),
    "a slot out of range": put("slots", (0,), -5.0),
    "a scale below nothing": put("scales", (0, 0, 0), -1.0),
    "a width beyond reason": put("width", (0, 0), 1e3),
    "a part too few": lambda parts: parts.pop("slots"),
    "a part of another type": lambda parts: parts.update(width=parts["width"].astype(np.float32)),
    "a part of another shape": lambda parts: parts.update(slots=parts["slots"][:-1]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_state_is_refused_and_the_stream_stands(
    model: SSMForecaster, change: Callable[[Parts], None]
) -> None:
    """By name, before any of it reaches a compiled loop; a state of real readings is taken."""
    stream = model.stream(next(iter(model._states)))
    parts, before = stream.snapshot(), stream.forecast()
    stream.restore(parts)
    change(parts)
    with pytest.raises(ModelFileError, match="state part"):
        stream.restore(parts)
    np.testing.assert_array_equal(stream.forecast(), before)


def test_a_hostile_state_in_a_model_folder_is_refused(model: SSMForecaster, tmp_path: Path) -> None:
    """The folder's checksum is right: whoever wrote the folder wrote it too."""
    model.save(tmp_path)
    config, arrays = load_parts(tmp_path, "SSMForecaster")
    arrays = {name: array.copy() for name, array in arrays.items()}
    arrays["state.0.slow"][0, 1] = -1.0
    save_parts(tmp_path, "SSMForecaster", config, arrays)
    with pytest.raises(ModelFileError, match="'slow'"):
        SSMForecaster.load(tmp_path)


def test_parts_are_copied() -> None:
    """The caller keeps its arrays: reading on must not write into a snapshot."""
    mine = {"a": np.zeros(2)}
    checked_parts(mine, {"a": np.ones(2)})["a"][:] = 5.0
    assert not mine["a"].any()
