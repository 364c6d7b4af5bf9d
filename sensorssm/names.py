"""Words shared by every floor of the house: column names and the quality classes."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

TIME: Final = "time"
ASSET: Final = "asset"
TAG: Final = "tag"
VALUE: Final = "value"
QUALITY: Final = "quality"
UNIT: Final = "unit"

#: The columns of a long reading, in order.
READING: Final = (ASSET, TAG, TIME, VALUE, QUALITY, UNIT)


class Quality(IntEnum):
    """How far a reading can be trusted, ordered as in OPC UA: larger is worse."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


_UNIT_SIGNS: Final = {
    "cel": "°C", "degf": "°F", "k": "K", "m3/h": "m³/h", "m3/s": "m³/s", "l/min": "L/min",
    "m/s2": "m/s²", "kw.h": "kWh", "[g]": "g", "{rpm}": "rpm", "r/min": "rpm", "1": "",
}  # fmt: skip


def unit_sign(code: str | None) -> str:
    """Return a UCUM unit code as it is written on a gauge: ``Cel`` is °C."""
    code = (code or "").strip()
    return _UNIT_SIGNS.get(code.lower(), code)
