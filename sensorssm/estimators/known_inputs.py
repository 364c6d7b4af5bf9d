"""Tables of inputs whose future is known, laid beside the readings they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sensorssm.errors import DataError, ShapeError, UnknownTagError
from sensorssm.estimators.assets import AssetRows
from sensorssm.frames import to_window

FloatArray = NDArray[np.float64]


class KnownInputs(NamedTuple):
    """A table of covariates.

    Attributes
    ----------
    values, names : (n, K) and (K,)
    time : (n,) in ns, or None
    assets : whose each row is, (n,), "" where the table does not say
    period_s : seconds of a step of the model, or None
    """

    values: FloatArray
    names: tuple[str, ...]
    time: NDArray[np.int64] | None
    assets: NDArray[np.str_]
    period_s: float | None

    @classmethod
    def read(
        cls, table: Any, fitted: tuple[str, ...] | None = None, period_s: float | None = None
    ) -> Self:
        """Read a table by the door that readings come through; columns in the `fitted` order.

        Raises
        ------
        UnknownTagError : columns other than the fitted ones
        DataError : no columns, or infinite values
        """
        window = to_window(table)
        values, count = window.values, window.values.shape[1]
        names = window.names or tuple(f"u{i}" for i in range(count))
        if count == 0:
            raise DataError("future has no column, wanted at least one input, or None")
        if np.isinf(values).any():
            raise DataError("future holds infinite values, wanted numbers, or NaN where unknown")
        if fitted is not None and window.names is None and count != len(fitted):
            raise ShapeError(f"future has {count} columns, wanted {len(fitted)}: {list(fitted)}")
        if fitted is not None and window.names is not None:
            if set(names) != set(fitted):
                raise UnknownTagError(f"future has columns {list(names)}, wanted {list(fitted)}")
            values = values[:, [names.index(name) for name in fitted]]
        assets = np.array(window.groups, dtype=str)[window.group]
        return cls(values, fitted or names, window.time, assets, period_s)

    def cut(self, records: Sequence[AssetRows]) -> list[FloatArray]:
        """Return the rows beside each record; those of a single asset may go on after it.

        Raises
        ------
        ShapeError : fewer rows than the records have, or more with several assets
        DataError : times or assets that differ from the records', a gap in the rows that go on
        """
        rows = sum(len(record.values) for record in records)
        if len(self.values) < rows or (len(records) > 1 and len(self.values) > rows):
            raise ShapeError(
                f"future has {len(self.values)} rows for {rows} of the readings, wanted one each"
            )
        out, at = [], 0
        for record in records:
            end = at + len(record.values)
            self._check_beside(record, slice(at, end))
            out.append(self.values[at : end if len(records) > 1 else None])
            at = end
        if at < len(self.values):
            self._refuse_gaps(records[-1].end_ns, slice(at, None))
        return out

    def beside(self, records: Sequence[AssetRows]) -> list[AssetRows]:
        """Return the records with their rows; raises as `cut` does."""
        parts = zip(records, self.cut(records), strict=True)
        return [record._replace(future=rows) for record, rows in parts]

    def after(self, end_ns: int | None) -> FloatArray:
        """Return the values, checked to follow what was seen.

        Raises
        ------
        DataError : rows of several assets; where times are known, rows that are not after the end,
        or not a step apart
        """
        if len(np.unique(self.assets)) > 1:
            raise DataError(
                f"future holds rows of {np.unique(self.assets).tolist()}, wanted those of one asset"
            )
        if end_ns is not None and self.time is not None and (self.time[:1] <= end_ns).any():
            raise DataError(
                f"future starts at {np.datetime64(int(self.time[0]), 'ns')}, wanted rows after "
                f"{np.datetime64(end_ns, 'ns')}, where what was seen ends"
            )
        self._refuse_gaps(end_ns, slice(None))
        return self.values

    def _refuse_gaps(self, end_ns: int | None, rows: slice) -> None:
        """Raise DataError where `rows` after an end are not, to half a step, a row a step."""
        if self.time is None or end_ns is None or self.period_s is None:
            return
        times = np.r_[end_ns, self.time[rows]]
        steps = np.diff(times) / 1e9 / self.period_s
        wrong = np.flatnonzero(np.abs(steps - 1.0) >= 0.5)
        if len(wrong):
            at = wrong[0]
            raise DataError(
                f"future has a row at {np.datetime64(int(times[at + 1]), 'ns')}, {steps[at]:g} "
                f"steps after {np.datetime64(int(times[at]), 'ns')}, wanted a row for each step, "
                "NaN where an input is not known"
            )

    def _check_beside(self, record: AssetRows, rows: slice) -> None:
        named = [asset for asset in np.unique(self.assets[rows]).tolist() if asset]
        if record.asset and named not in ([], [record.asset]):
            raise DataError(
                f"future has rows of {named} where the readings are of {record.asset!r}. Give both "
                "the assets in one order."
            )
        if self.time is None or record.time is None:
            return
        wrong = np.flatnonzero(self.time[rows] != record.time)
        if len(wrong):
            found, wanted = self.time[rows][wrong[0]], record.time[wrong[0]]
            raise DataError(
                f"row {wrong[0]} of future is of {np.datetime64(int(found), 'ns')}, the reading "
                f"beside it of {np.datetime64(int(wanted), 'ns')}. Give both the same times."
            )
