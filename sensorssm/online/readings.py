"""Readings as a caller has them, in the tags' order: a row of one asset, or of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import DataError, ShapeError, UnknownTagError

FloatArray = NDArray[np.float64]


class TagOrder:
    """The tags of a model, in the order of its arrays."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._place = {tag: i for i, tag in enumerate(tags)}

    def row(self, values: ArrayLike | Mapping[str, float]) -> FloatArray:
        """Return one asset's readings (M,); by tag, an absent one or None is missing.

        Raises
        ------
        UnknownTagError, ShapeError, DataError : another tag, too few values, one that is no number
        """
        row = _numbers(self._in_order(values) if isinstance(values, Mapping) else values)
        if row.shape != (len(self._place),):
            raise ShapeError(
                f"values have shape {row.shape}, wanted ({len(self._place)},): one of each of "
                f"{list(self._place)}"
            )
        return row

    def rows(self, values: ArrayLike, assets: int) -> FloatArray:
        """Return the readings (A, M) of `assets` assets; raises as `row` does."""
        rows = _numbers(values)
        if rows.shape != (assets, len(self._place)):
            raise ShapeError(
                f"values have shape {rows.shape}, wanted ({assets}, {len(self._place)}): one row "
                "an asset, one column a tag"
            )
        return rows

    def _in_order(self, values: Mapping[str, float]) -> list[float]:
        row = [np.nan] * len(self._place)
        for tag, value in values.items():
            if tag not in self._place:
                raise UnknownTagError.for_tag(tag, self._place)
            row[self._place[tag]] = np.nan if value is None else value
        return row


def _numbers(values: ArrayLike) -> FloatArray:
    try:
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"values are no numbers ({error}), wanted one a tag, NaN = missing"
        ) from error
