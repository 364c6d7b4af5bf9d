"""Numbers of assets that never change, read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import DataError
from sensorssm.estimators.checks import LARGEST

FloatArray = NDArray[np.float64]

#: Sums grow with the square of the count, and few fleets are large enough to tell of more.
MOST_NUMBERS = 4


@dataclass(frozen=True)
class StaticTable:
    """The same K numbers of each asset.

    Attributes
    ----------
    names : of the numbers
    numbers : by asset, (K,)
    """

    names: tuple[str, ...]
    numbers: dict[str, FloatArray]

    @classmethod
    def read(cls, static: Any, fitted: tuple[str, ...] | None = None) -> Self:
        """Read a mapping of assets to mappings of names to numbers; names as `fitted`, if given.

        Raises
        ------
        DataError : no such mapping, no numbers or too many, names that differ, a missing or huge one
        """
        if not isinstance(static, Mapping) or not static:
            raise DataError(
                f"static is {type(static).__name__}, wanted the numbers of each asset: "
                '{"pump 1": {"size": 7.5}, "pump 2": {"size": 11.0}}'
            )
        first = next(iter(static.values()))
        names = fitted or (tuple(map(str, first)) if isinstance(first, Mapping) else ())
        if not 1 <= len(names) <= MOST_NUMBERS:
            raise DataError(f"static has {len(names)} numbers, wanted 1 to {MOST_NUMBERS}")
        return cls(names, {str(a): _numbers(str(a), own, names) for a, own in static.items()})

    def of(self, assets: Iterable[str]) -> FloatArray:
        """Return the numbers (A, K) of some assets.

        Raises
        ------
        DataError : an asset without, or a single asset
        """
        wanted = list(assets)
        if len(wanted) < 2:
            raise DataError(
                f"static was given for the single asset {wanted}: numbers that never change tell "
                "assets apart. Fit several assets, or leave static out."
            )
        missing = [asset for asset in wanted if asset not in self.numbers]
        if missing:
            raise DataError(f"static has no numbers of {missing}, wanted those of every asset")
        return np.array([self.numbers[asset] for asset in wanted])

    def joined(self, other: StaticTable) -> StaticTable:
        """Return the table with the assets of another; those of both as there."""
        return StaticTable(self.names, self.numbers | other.numbers)


def _numbers(asset: str, own: Any, names: tuple[str, ...]) -> FloatArray:
    """Return one asset's numbers (K,) in the order of `names`, checked."""
    if not isinstance(own, Mapping) or set(map(str, own)) != set(names):
        found = list(own) if isinstance(own, Mapping) else own
        raise DataError(f"static of asset {asset!r} has {found!r}, wanted {list(names)}")
    try:
        numbers = np.array([float(own[name]) for name in names])
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"static of asset {asset!r} is {dict(own)!r}, wanted numbers") from error
    if not (np.abs(numbers) <= LARGEST).all():  # nor NaN
        raise DataError(
            f"static of asset {asset!r} is {dict(own)!r}, wanted numbers, none missing, of at most "
            f"{LARGEST:.0e} either way"
        )
    return numbers
