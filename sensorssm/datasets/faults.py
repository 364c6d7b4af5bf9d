"""Faults of a pump skid: what can break, how it grows, and the default schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorssm.datasets.tags import TAG_INDEX, TAGS
from sensorssm.errors import ConfigError, UnknownTagError

FloatArray = NDArray[np.float64]

#: Faults of a transmitter may sit on any tag; faults of equipment show on a tag of their own.
SENSOR_KINDS: Final = ("drift", "stuck", "spike")
EQUIPMENT_TAGS: Final = {
    "leak": "flow",
    "fouling": "water_out_temperature",
    "cavitation": "suction_pressure",
    "bearing": "vibration",
    "stiction": "valve_position",
}
FAULT_KINDS: Final = (
    "drift", "stuck", "leak", "fouling", "cavitation", "bearing", "stiction", "spike",
)  # fmt: skip

#: Kind, tag and duration in hours of the default faults; neighbours alternate between assets.
_DEFAULT: Final[tuple[tuple[str, str, float], ...]] = (
    ("cavitation", "suction_pressure", 8.0),
    ("stiction", "valve_position", 14.0),
    ("drift", "discharge_pressure", 36.0),
    ("leak", "flow", 18.0),
    ("spike", "product_in_temperature", 0.34),
    ("bearing", "vibration", 42.0),
    ("stuck", "motor_current", 14.0),
    ("fouling", "water_out_temperature", 40.0),
)


#: Rows that a fault and its slot take at least: fewer could not be told from noise.
_SHORTEST: Final = 3
_SHORTEST_SLOT: Final = 8


@dataclass(frozen=True)
class Fault:
    """A labelled fault on [started, ended), UTC, and the tag where maintenance looks first.

    It is repaired at `ended`. `severity` scales it: 1 is what a good engineer sees in the trend.
    """

    asset: str
    kind: str
    tag: str
    started: np.datetime64
    ended: np.datetime64
    severity: float = 1.0


class Wear(NamedTuple):
    """Condition of the equipment per row, shape (n,): 0 is healthy, 1 a fault of severity 1."""

    leak: FloatArray
    fouling: FloatArray
    cavitation: FloatArray
    bearing: FloatArray
    stiction: FloatArray


def default_faults(
    assets: Sequence[str], time: NDArray[np.datetime64], rng: np.random.Generator
) -> tuple[Fault, ...]:
    """Return one fault of each kind on the grid `time`, dealt to the assets in turn.

    Each asset's span is cut into equal slots with one fault in each. A fault takes at most 45 %
    of its slot, so a short plant gets short faults, and at least as long to recover.

    Raises
    ------
    ConfigError : `time` is too short to keep eight faults apart.
    """
    hour = np.timedelta64(3600, "s") / (time[1] - time[0])  # in rows
    faults = []
    for lane, asset in enumerate(assets[: len(_DEFAULT)]):
        own = _DEFAULT[lane :: len(assets)]
        slot = len(time) / len(own)
        if slot < _SHORTEST_SLOT:
            raise ConfigError(
                f"{len(own)} faults on {asset} need {_SHORTEST_SLOT * len(own)} rows, found "
                f"{len(time)} in the last part of the plant. Ask for more days, a shorter period, "
                "or faults=None."
            )
        for number, (kind, tag, hours) in enumerate(own):
            length = min(hours * hour, 0.45 * slot)
            length = max(int(length + 0.5), _SHORTEST)
            begin = int(number * slot + rng.uniform(0.3, 0.5) * (slot - length))
            faults.append(Fault(asset, kind, tag, time[begin], time[begin + length]))
    return tuple(sorted(faults, key=lambda fault: (fault.started, fault.asset)))


def check_fault(fault: Fault, assets: Sequence[str]) -> None:
    """Raise ConfigError or UnknownTagError unless `fault` can happen on one of `assets`."""
    if fault.kind not in FAULT_KINDS:
        raise ConfigError.for_key(fault.kind, FAULT_KINDS, "the fault kinds")
    if fault.asset not in assets:
        raise ConfigError.for_key(fault.asset, assets, "the assets of this plant")
    if fault.tag not in TAG_INDEX:
        raise UnknownTagError.for_tag(fault.tag, TAG_INDEX)
    shown = EQUIPMENT_TAGS.get(fault.kind, fault.tag)
    if fault.tag != shown:
        raise ConfigError(f"a {fault.kind} fault shows on tag {shown!r}, found {fault.tag!r}.")
    if not fault.ended > fault.started:
        raise ConfigError(f"a {fault.kind} fault ends at {fault.ended}, not after its start.")
    if not (np.isfinite(fault.severity) and fault.severity > 0):
        raise ConfigError(f"severity must be a positive number, found {fault.severity}.")


def growth(fault: Fault, time: NDArray[np.datetime64]) -> FloatArray:
    """Return how far the fault has grown at each time, shape (n,): 0 outside [started, ended).

    Transmitters are put right in an instant; equipment comes back over the last tenth.
    """
    active = (time >= fault.started) & (time < fault.ended)
    share = (time - fault.started) / (fault.ended - fault.started)  # 0 to 1 over the fault
    share = np.clip(share, 0.0, 1.0)
    shape = {
        "drift": share,
        "fouling": np.minimum(1.0, 1.6 * share),
        "bearing": share * (0.4 + 0.6 * share),  # wear feeds on itself
        "cavitation": np.minimum(1.0, 4.0 * share),  # a strainer clogs, then stays clogged
        "leak": np.minimum(1.0, 24.0 * share),  # a gasket gives way
        "spike": 1.0 - 0.8 * share,  # a jump that dies away
    }.get(fault.kind, np.ones_like(share))
    if fault.kind not in SENSOR_KINDS:
        shape = shape * np.minimum(1.0, 10.0 * (1.0 - share))
    return fault.severity * np.where(active, shape, 0.0)


def equipment_wear(faults: Sequence[Fault], time: NDArray[np.datetime64]) -> Wear:
    """Return the condition of one asset's equipment under its faults."""
    grown = {kind: np.zeros(len(time)) for kind in Wear._fields}
    for fault in faults:
        if fault.kind in grown:
            grown[fault.kind] += growth(fault, time)
    return Wear(**grown)


def sensor_faults(
    faults: Sequence[Fault], time: NDArray[np.datetime64]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the transmitters' errors (n, M) in tag units and where they are frozen (n, M)."""
    offset = np.zeros((len(time), len(TAGS)))
    frozen = np.zeros(offset.shape, dtype=np.bool_)
    of_span = {"drift": 0.05, "spike": 0.08}
    for fault in faults:
        column = TAG_INDEX[fault.tag]
        grown = growth(fault, time)
        if fault.kind == "stuck":
            frozen[:, column] |= grown > 0
        elif fault.kind in of_span:
            span = TAGS[column].high - TAGS[column].low
            offset[:, column] += of_span[fault.kind] * span * grown
    return offset, frozen
