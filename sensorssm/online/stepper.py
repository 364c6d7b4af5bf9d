"""One reading in, one result out, in constant time, for one asset or ten thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError, ModelFileError, ShapeError, UnknownTagError
from sensorssm.online.snapshot import fingerprint, pack, unpack
from sensorssm.scoring import advance, state_size, statistics_of

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector, SSMForecaster

FloatArray = NDArray[np.float64]
Time = datetime | np.datetime64 | int

NEVER = np.iinfo(np.int64).min
BAND = (0.1, 0.5, 0.9)  # the quantiles of a result's lower and upper


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one asset after one instant; arrays are (M,), in the tags' order.

    `score`, `threshold`, `p_value` : see `SSMDetector`; a score is NaN where nothing was read
    `expected` : the forecast of this instant from those before it, in the tags' units
    `contributions` : each tag's share of the score, summing to 1
    `lower`, `upper` : the forecaster's 10 % and 90 % quantiles, where there is a forecaster
    """

    time: Any
    asset: str
    score: float
    threshold: float
    p_value: float
    is_anomaly: bool
    expected: FloatArray
    contributions: FloatArray
    lower: FloatArray | None = None
    upper: FloatArray | None = None


class Stepper:
    """Carry the online state of some assets around a fitted detector, and a forecaster if given.

    The step is the one that `SSMDetector.anomaly_score` folds over a batch, so the results are
    equal to the last bit. An asset's state is one row of one array.

    Parameters
    ----------
    detector : fitted
    forecaster : fitted on the same tags; adds `forecast` and each result's band
    assets : names; known from the start, so that a mistyped name is an error

    Examples
    --------
    >>> import numpy as np
    >>> from sensorssm import SSMDetector, Stepper
    >>> readings = np.random.default_rng(0).normal(size=(500, 2))
    >>> stepper = Stepper(SSMDetector().fit(readings))
    >>> results = [stepper.step(row) for row in readings]
    >>> stepper.step({"x0": 25.0, "x1": 0.0}).is_anomaly
    True
    """

    def __init__(
        self,
        detector: SSMDetector,
        forecaster: SSMForecaster | None = None,
        assets: Sequence[str] = ("asset",),
    ) -> None:
        if forecaster is not None and forecaster.tags_ != detector.tags_:
            raise ConfigError(
                f"the forecaster was fitted on {list(forecaster.tags_)}, the detector on "
                f"{list(detector.tags_)}. Fit both on the same tags, in the same order."
            )
        self._detector, self._cell = detector, detector.cell_
        self._row = {str(asset): row for row, asset in enumerate(assets)}
        if len(self._row) != len(assets) or not self._row:
            raise ConfigError(f"assets are {list(assets)}, wanted one or more different names")
        self._tag = {tag: i for i, tag in enumerate(detector.tags_)}
        self._state = np.zeros((len(self._row), state_size(self._cell)))
        self._time = np.full(len(self._row), NEVER, dtype=np.int64)
        self._stats = np.empty(statistics_of(self._cell))
        self._streams = None if forecaster is None else [forecaster.stream() for _ in self._row]
        self._stream_period_s = None if forecaster is None else forecaster.period_s_

    @property
    def assets(self) -> tuple[str, ...]:
        """Return the assets' names."""
        return tuple(self._row)

    def step(
        self,
        values: ArrayLike | Mapping[str, float],
        time: Time | None = None,
        asset: str | None = None,
    ) -> Result:
        """Take one instant of one asset.

        Parameters
        ----------
        values : (M,) in the tags' order, NaN = missing; or a value by tag, absent = missing
        time : of the instant, UTC; int64 is ns since 1970. Without it every row is one step on
        asset : may be left out where there is only one

        Raises
        ------
        UnknownTagError, ShapeError : values of other tags, or of another number of them
        DataError : an asset that is not known, or a time that is not after the one before
        """
        row = self._asset_row(asset)
        readings = self._readings(values)
        stamp = None if time is None else _nanoseconds(time)
        before = self._before(row, stamp)
        elapsed = _steps(before, stamp, self._detector.period_s_)
        lower, upper = self._band(row)
        expected, shares = np.empty(len(readings)), np.empty(len(readings))
        state = self._state[row]
        score = advance(self._cell, state, readings, elapsed, expected, shares, self._stats)
        if stamp is not None:
            self._time[row] = stamp
        if self._streams is not None:
            self._streams[row].update(readings, _steps(before, stamp, self._stream_period_s))
        threshold = self._detector.threshold_
        return Result(
            time=time,
            asset=next(iter(self._row)) if asset is None else str(asset),
            score=score,
            threshold=threshold,
            p_value=10.0**-score,
            is_anomaly=bool(score > threshold),
            expected=expected,
            contributions=shares,
            lower=lower,
            upper=upper,
        )

    def forecast(
        self,
        asset: str | None = None,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = BAND,
    ) -> FloatArray:
        """Return the forecast of one asset from now on, (H, M, Q), or (H, M) without quantiles."""
        if self._streams is None:
            raise ConfigError("this stepper has no forecaster; make it with Stepper(d, forecaster)")
        return self._streams[self._asset_row(asset)].forecast(horizon, quantiles)

    def snapshot(self) -> bytes:
        """Return the state of all assets; `restore` of the same model goes on from there."""
        arrays: dict[str, NDArray[Any]] = {"state": self._state, "time": self._time}
        for row, stream in enumerate(self._streams or ()):
            arrays |= {f"stream/{row}/{name}": a for name, a in stream.snapshot().items()}
        return pack({"model": self._fingerprint(), "assets": list(self._row)}, arrays)

    def restore(self, content: bytes) -> None:
        """Go on from a snapshot of a stepper around the same model and assets.

        Raises
        ------
        ModelFileError : damaged bytes, another model's state, or other assets
        """
        head, arrays = unpack(content)
        if head.get("model") != self._fingerprint():
            raise ModelFileError("the snapshot was made with another model; start anew with this")
        if head.get("assets") != list(self._row):
            raise ModelFileError(
                f"the snapshot holds assets {head.get('assets')}, wanted {list(self._row)}"
            )
        for name, own in (("state", self._state), ("time", self._time)):
            found = arrays.get(name)
            if found is None or found.shape != own.shape or found.dtype != own.dtype:
                raise ModelFileError(f"the snapshot's {name} does not fit {own.dtype} {own.shape}")
        for row, stream in enumerate(self._streams or ()):
            stream.check(_under(f"stream/{row}/", arrays))  # all of them, before any is moved
        for row, stream in enumerate(self._streams or ()):
            stream.restore(_under(f"stream/{row}/", arrays))
        self._state, self._time = arrays["state"].copy(), arrays["time"].copy()

    def _fingerprint(self) -> str:
        return fingerprint(self._cell._asdict())

    def _asset_row(self, asset: str | None) -> int:
        if asset is None and len(self._row) == 1:
            return 0
        try:
            return self._row[str(asset)]
        except KeyError:
            raise DataError(
                f"asset {asset!r} is not one of this stepper's: {list(self._row)}"
            ) from None

    def _readings(self, values: ArrayLike | Mapping[str, float]) -> FloatArray:
        if isinstance(values, Mapping):
            readings = np.full(len(self._tag), np.nan)
            for tag, value in values.items():
                if tag not in self._tag:
                    raise UnknownTagError.for_tag(tag, self._tag)
                readings[self._tag[tag]] = np.nan if value is None else value
            return readings
        readings = np.ascontiguousarray(values, dtype=np.float64)
        if readings.shape != (len(self._tag),):
            raise ShapeError(
                f"values have shape {readings.shape}, wanted ({len(self._tag)},): one of each of "
                f"{list(self._tag)}"
            )
        return readings

    def _before(self, row: int, stamp: int | None) -> int | None:
        """Return when the asset was last stepped, or None; time must have moved on since."""
        before = int(self._time[row])
        if stamp is None or before == NEVER:
            return None
        if stamp <= before:
            raise DataError(
                f"time {np.datetime64(stamp, 'ns')} is not after the row before "
                f"({np.datetime64(before, 'ns')}). Step each asset in the order of time."
            )
        return before

    def _band(self, row: int) -> tuple[FloatArray | None, FloatArray | None]:
        if self._streams is None:
            return None, None
        ahead = self._streams[row].forecast(1, BAND)[0]
        return ahead[:, 0], ahead[:, -1]


def _steps(before: int | None, stamp: int | None, period_s: float | None) -> float:
    """Return the steps from one time to another in a model's own period; 1 where it has none."""
    if before is None or stamp is None or period_s is None:
        return 1.0
    return (stamp - before) / 1e9 / period_s


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names start with `prefix`, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _nanoseconds(time: Time) -> int:
    """Return a time as ns since 1970, UTC; a datetime without a zone is taken as UTC."""
    if isinstance(time, datetime):
        aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        since = aware - datetime(1970, 1, 1, tzinfo=UTC)
        return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
    if isinstance(time, np.datetime64):
        return int(time.astype("datetime64[ns]").astype(np.int64))
    return int(time)
