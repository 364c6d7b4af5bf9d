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
