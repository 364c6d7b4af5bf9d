"""The terms of alarms: the rule that opens one, the evidence it is opened on, the alarm itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import ConfigError


@dataclass(frozen=True)
class Rule:
    """When a score becomes an alarm, in ISA-18.2's words.

    `on_delay` steps in a row above the threshold open one; `off_delay` steps in a row below the
    threshold less the `deadband` clear it.
    """

    name: str = "anomaly"
    on_delay: int = 1
    off_delay: int = 1
    deadband: float = 0.0

    def __post_init__(self) -> None:
        if self.on_delay < 1 or self.off_delay < 1 or not self.deadband >= 0:
            raise ConfigError(
                f"alarm rule {self.name!r} has on_delay {self.on_delay}, off_delay "
                f"{self.off_delay}, deadband {self.deadband}; wanted delays of 1 step or more and "
                "a deadband of 0 or more."
            )


@dataclass(frozen=True)
class Evidence:
    """What is known of one asset at one instant; arrays are (M,), in the tags' order."""

    asset: str
    time: datetime
    score: float
    threshold: float
    values: NDArray[np.float64]
    expected: NDArray[np.float64]
    contributions: NDArray[np.float64]


@dataclass(frozen=True)
class Alarm:
    """A row of the table of alarms; one that has cleared never opens again."""

    id: str
    asset: str
    rule: str
    priority: str
    state: Literal["OPEN", "CLEARED"]
    opened: datetime
    cleared: datetime | None
    peak_score: float
    p_value: float
    first_tag: str
    tags: str
    message: str
