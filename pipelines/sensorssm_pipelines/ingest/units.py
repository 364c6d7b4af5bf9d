"""Engineering units (UCUM codes): readings in another unit of the same quantity are converted."""

from __future__ import annotations

import polars as pl

#: unit: (quantity, factor, offset); value in the quantity's base unit = factor * value + offset.
_UNITS: dict[str, tuple[str, float, float]] = {
    "Pa": ("pressure", 1.0, 0.0),
    "kPa": ("pressure", 1e3, 0.0),
    "MPa": ("pressure", 1e6, 0.0),
    "mbar": ("pressure", 1e2, 0.0),
    "bar": ("pressure", 1e5, 0.0),
    "[psi]": ("pressure", 6894.757293168, 0.0),
    "K": ("temperature", 1.0, 0.0),
    "Cel": ("temperature", 1.0, 273.15),
    "[degF]": ("temperature", 5 / 9, 273.15 - 32 * 5 / 9),
    "m3/s": ("flow", 1.0, 0.0),
    "m3/h": ("flow", 1 / 3600, 0.0),
    "L/s": ("flow", 1e-3, 0.0),
    "L/min": ("flow", 1e-3 / 60, 0.0),
    "m": ("length", 1.0, 0.0),
    "cm": ("length", 1e-2, 0.0),
    "mm": ("length", 1e-3, 0.0),
    "A": ("current", 1.0, 0.0),
    "mA": ("current", 1e-3, 0.0),
    "W": ("power", 1.0, 0.0),
    "kW": ("power", 1e3, 0.0),
    "mm/s": ("speed", 1e-3, 0.0),
    "m/s": ("speed", 1.0, 0.0),
    "1": ("ratio", 1.0, 0.0),
    "%": ("ratio", 1e-2, 0.0),
}

#: Other ways to write some of them, as historians and gauges do.
_CODES = {
    "°C": "Cel", "degC": "Cel", "°F": "[degF]", "degF": "[degF]", "psi": "[psi]",
    "m³/s": "m3/s", "m³/h": "m3/h", "l/s": "L/s", "l/min": "L/min",
}  # fmt: skip


def conversion(found: str, wanted: str) -> tuple[float, float] | None:
    """Return (factor, offset) from one unit to another; None when they do not compare."""
    found, wanted = _CODES.get(found, found), _CODES.get(wanted, wanted)
    if found == wanted:
        return 1.0, 0.0
    if found not in _UNITS or wanted not in _UNITS:
        return None
    (quantity, factor, offset), (target, scale, shift) = _UNITS[found], _UNITS[wanted]
    return (factor / scale, (offset - shift) / scale) if quantity == target else None


def conversions(changes: list[tuple[str, str, str]]) -> pl.DataFrame:
    """Return (tag, unit, wanted, factor, offset) of each change of unit; null: there is none."""
    rows = [(*change, *(conversion(*change[1:]) or (None, None))) for change in changes]
    names = dict.fromkeys(("tag", "unit", "wanted"), pl.String)
    schema = {**names, "factor": pl.Float64, "offset": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
