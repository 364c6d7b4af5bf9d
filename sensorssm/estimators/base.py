"""The door for data that every estimator shares: a wide table in, its tags and step checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from sensorssm.errors import ModelFileError, UnknownTagError
from sensorssm.estimators.checks import refuse_huge
from sensorssm.frames import Window, column_names, open_table, window_of


class WindowEstimator(BaseEstimator):
    """An estimator whose input is a wide table: rows are time, columns are tags."""

    def _window(
        self, X: Any, *, times: Any = None, groups: Any = None, reset: bool = False, **checks: Any
    ) -> Window:
        """Return `X` as a checked `Window`; `reset` learns the tags, else they must match.

        Raises
        ------
        ValueError : scikit-learn's own messages on shapes and infinite values
        UnknownTagError : a frame whose columns are not the fitted tags
        DataError : see `sensorssm.frames.open_table`; readings too large to learn from
        """
        table = open_table(X, times=times, groups=groups)
        checks = {"dtype": np.float64, "ensure_all_finite": "allow-nan"} | checks
        try:
            values = validate_data(self, table.data, reset=reset, **checks)
        except ValueError as error:
            self._explain_columns(column_names(table.data), reset, error)
            raise
        if reset:
            refuse_huge(np.asarray(values), self.tags_)
        names = getattr(self, "feature_names_in_", None)
        fitted = None if reset else getattr(self, "period_s_", None)
        return window_of(
            table,
            np.asarray(values),
            names=None if names is None else tuple(map(str, names)),
            period_s=fitted,
            regular=not reset and fitted is None,
        )

    def _explain_columns(self, found: tuple[str, ...], reset: bool, reason: ValueError) -> None:
        """Raise `UnknownTagError` where columns `found` explain why a frame was refused."""
        fitted = getattr(self, "feature_names_in_", None)
        if reset or fitted is None or not found or list(found) == list(fitted):
            return
        raise UnknownTagError.for_columns(found, self.tags_, str(reason)) from reason

    def _recall(self, config: Mapping[str, Any], count: int) -> None:
        """Take the names of `count` tags and the grid step from a model description, checked."""
        self.n_features_in_ = count
        self.period_s_ = _read_period(config["period_s"])
        names = _read_tags(config["tags"], count)
        if names is not None:
            self.feature_names_in_ = names

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    @property
    def tags_(self) -> tuple[str, ...]:
        """The fitted tags' names; numbered where the model was fitted on an array."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            return tuple(f"x{i}" for i in range(self.n_features_in_))
        return tuple(str(name) for name in names)


def _read_tags(tags: Any, count: int) -> NDArray[Any] | None:
    """Return the tags' names of a model description, None where it was fitted on an array."""
    if not tags:
        return None
    distinct = isinstance(tags, list) and len({t for t in tags if isinstance(t, str)}) == count
    if not distinct or len(tags) != count:
        raise ModelFileError(f"tags are {tags!r}, wanted {count} different names")
    return np.array(tags, dtype=object)


def _read_period(seconds: Any) -> float | None:
    """Return the grid step of a model description, None where it was fitted without times."""
    if seconds is None:
        return None
    if not isinstance(seconds, int | float) or not 0 < seconds < np.inf:
        raise ModelFileError(f"period_s is {seconds!r}, wanted seconds above 0")
    return float(seconds)
