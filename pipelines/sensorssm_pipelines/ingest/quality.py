"""Quality dialects: what a source's codes mean in the three classes GOOD, UNCERTAIN, BAD.

The code 0 is Good in OPC UA and Bad in OPC DA, so the dialect is stated for each source and
never guessed. A code that a dialect does not know becomes null.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from sensorssm.names import Quality

_GOOD, _UNCERTAIN, _BAD = (pl.lit(int(q), pl.UInt8) for q in Quality)
_UNKNOWN = pl.lit(None, pl.UInt8)


def quality_class(codes: pl.Expr, dialect: str) -> pl.Expr:
    """Return the class of each code (UInt8), null where the dialect does not know it."""
    whole = codes.cast(pl.String).str.strip_chars().cast(pl.Int64, strict=False)
    return _DIALECTS[dialect](whole)


def _internal(code: pl.Expr) -> pl.Expr:
    return (
        pl.when(code.is_between(0, 2)).then(code.cast(pl.UInt8, strict=False)).otherwise(_UNKNOWN)
    )


def _opcda(code: pl.Expr) -> pl.Expr:
    """The two high bits of eight: 11 good, 01 uncertain, 00 bad; 10 is not defined.

    Sparkplug's 500 (stale) lies outside the byte and stays unknown, as does 10.
    """
    return (
        pl.when(code.is_between(192, 255))
        .then(_GOOD)
        .when(code.is_between(64, 127))
        .then(_UNCERTAIN)
        .when(code.is_between(0, 63))
        .then(_BAD)
        .otherwise(_UNKNOWN)
    )


def _opcua(code: pl.Expr) -> pl.Expr:
    """The two high bits of a StatusCode of 32: 00 good, 01 uncertain, 10 bad.

    The low 16 bits only inform, and are set only together with an information type; small codes
    without one, such as OPC DA's 192, are not StatusCodes and stay unknown.
    """
    unsigned = pl.when(code < 0).then(code + 2**32).otherwise(code)
    severity = unsigned // 2**30
    stray = (unsigned % 2**10 != 0) & (unsigned // 2**10 % 4 == 0)
    valid = unsigned.is_between(0, 2**32 - 1) & (severity < 3) & ~stray
    return pl.when(valid).then(severity.cast(pl.UInt8, strict=False)).otherwise(_UNKNOWN)


def _none(code: pl.Expr) -> pl.Expr:
    return _GOOD


_DIALECTS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "internal": _internal,
    "opcda": _opcda,
    "opcua": _opcua,
    "none": _none,
}
