"""What every test shares: fixed seeds, one thread, and the folder of public data sets."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a seeded generator; tests never touch the global one."""
    return np.random.default_rng(20260105)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of public data sets, or skip: they are never part of the project."""
    name = os.environ.get("SENSORSSM_DATA")
    if not name:
        pytest.skip("SENSORSSM_DATA is not set: the public data sets are not on this machine")
    return Path(name)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Debian's Chromium, or skip."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on this machine: install it to drive the pages in a real browser")
    return path
