"""Root causes: whether the tags that an alarm blames are those that caused it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import ArrayLike

from sensorssm.errors import ConfigError, DataError, ShapeError


def causes_found(
    contributions: ArrayLike,
    anomalies: Iterable[tuple[int, int, Collection[int]]],
    *,
    share: float = 1.5,
) -> float:
    """Return the mean share of each anomaly's causes among the tags most blamed: Hit@150 %.

    As many tags count as most blamed as the anomaly has causes, times `share`, rounded, at least
    one; a tag is blamed by its mean contribution over the anomaly's rows. NaN without anomalies.

    Parameters
    ----------
    contributions : (n, M), what each tag adds to a row's score, as `explain` returns
    anomalies : first row and the row after the last, and the columns of the tags that caused it

    Raises
    ------
    ConfigError : a share that is not positive
    ShapeError, DataError : contributions not (n, M); rows or columns that are not there, no causes

    References
    ----------
    Su et al. 2019, "Robust Anomaly Detection for Multivariate Time Series through Stochastic
    Recurrent Neural Network" (OmniAnomaly), KDD, section 5.5.
    """
    blamed = np.asarray(contributions, dtype=np.float64)
    if blamed.ndim != 2:
        raise ShapeError(f"contributions have shape {blamed.shape}, wanted (n, M)")
    if not 0 < share < np.inf:
        raise ConfigError(f"share is {share!r}, wanted a number above 0")
    rows, tags = blamed.shape
    found = []
    for start, end, causes in anomalies:
        if not (0 <= start < end <= rows and causes and set(causes) <= set(range(tags))):
            raise DataError(
                f"an anomaly of rows [{start}, {end}) is caused by columns {sorted(causes)}, wanted "
                f"rows of {rows} and one or more of {tags} columns"
            )
        most = max(1, round(share * len(causes)))
        top = np.argsort(-blamed[start:end].mean(axis=0), kind="stable")[:most]
        found.append(len(set(top.tolist()) & set(causes)) / len(causes))
    return float(np.mean(found)) if found else float("nan")
