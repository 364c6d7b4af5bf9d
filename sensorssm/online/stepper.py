"""One reading in, one result out, in constant time, for one asset or ten thousand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensorssm.errors import ConfigError, DataError, ModelFileError
from sensorssm.online.clock import NEVER, Time, nanoseconds, steps_between, steps_since
from sensorssm.online.readings import TagOrder
from sensorssm.online.results import Result, Results
from sensorssm.online.snapshot import check_state, fingerprint, pack, unpack
from sensorssm.online.streams import BAND, Streams
from sensorssm.scoring import advance, advance_all, state_size, statistics_of

if TYPE_CHECKING:
    from sensorssm.estimators import SSMDetector, SSMForecaster

FloatArray = NDArray[np.float64]


class Stepper:
    """Carry the online state of some assets around a fitted detector, and a forecaster if given.

    The step is the one that `SSMDetector.anomaly_score` folds over a batch, so the results are
    equal to the last bit. An asset's state is one row of one array.

    Parameters
    ----------
    detector : fitted
    forecaster : fitted on the same tags; adds `forecast` and each result's band
    assets : names; known from the start, so that a mistyped name is an error. One that the
        forecaster was fitted on is forecast by its own readout, where it has one

    Examples
    --------
    >>> import numpy as np
    >>> from sensorssm import SSMDetector, Stepper
    >>> readings = np.random.default_rng(0).normal(size=(500, 2))
    >>> stepper = Stepper(SSMDetector().fit(readings))
    >>> results = [stepper.step(row) for row in readings]
    >>> stepper.step({"x0": 25.0, "x1": 0.0}).is_anomaly
    True

    A fleet is stepped in one call, a row an asset:

    >>> fleet = Stepper(SSMDetector().fit(readings), assets=["pump 1", "pump 2"])
    >>> fleet.step_many(readings[:2]).score.shape
    (2,)
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
        self._detector, self._forecaster, self._cell = detector, forecaster, detector.cell_
        self._assets = tuple(str(asset) for asset in assets)
        self._row = {asset: row for row, asset in enumerate(self._assets)}
        if len(self._row) != len(self._assets) or not self._row:
            raise ConfigError(f"assets are {list(assets)}, wanted one or more different names")
        self._order = TagOrder(detector.tags_)
        self._state = np.zeros((len(self._row), state_size(self._cell)))
        self._time = np.full(len(self._row), NEVER, dtype=np.int64)
        self._stats = np.empty(statistics_of(self._cell))
        self._streams = None if forecaster is None else Streams(forecaster, self._assets)

    @property
    def assets(self) -> tuple[str, ...]:
        """Return the assets' names."""
        return self._assets

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
        DataError : an asset that is not known, a value that is no number, or a time that is not
            after the one before
        """
        row = self._asset_row(asset)
        readings = self._order.row(values)
        stamp = None if time is None else nanoseconds(time)
        before = int(self._time[row])
        if stamp is not None and before >= stamp:
            raise self._late(row, stamp)
        elapsed = steps_between(before, stamp, self._detector.period_s_)
        lower, upper = (None, None) if self._streams is None else self._streams.band(row)
        expected, shares = np.empty(len(readings)), np.empty(len(readings))
        state = self._state[row]
        score = advance(self._cell, state, readings, elapsed, expected, shares, self._stats)
        if self._detector.modes_ is not None:
            score = float(self._detector.in_mode(np.array([score]), readings[None])[0])
        if stamp is not None:
            self._time[row] = stamp
        if self._streams is not None:
            self._streams.read_on(row, readings, before, stamp)
        threshold = self._detector.threshold_
        return Result(
            time=time,
            asset=self._assets[row],
            score=score,
            threshold=threshold,
            p_value=10.0**-score,
            is_anomaly=bool(score > threshold),
            expected=expected,
            contributions=shares,
            lower=lower,
            upper=upper,
        )

    def step_many(
        self, values: ArrayLike, time: Time | None = None, assets: Sequence[str] | None = None
    ) -> Results:
        """Take one instant of many assets in one compiled call: what `step` gives, asset by asset.

        Parameters
        ----------
        values : (A, M), a row an asset, in the tags' order; NaN = missing
        time : of the instant, the same for all
        assets : whose rows these are, each at most once; by default all, in their order

        Raises
        ------
        ShapeError : not one row an asset, or of another number of tags
        DataError : as for `step`; then no asset has moved
        """
        names = self.assets if assets is None else tuple(map(str, assets))
        rows = np.array([self._asset_row(name) for name in names], dtype=np.int64)
        if len(set(names)) < len(names):
            raise DataError(f"assets are {list(names)}, wanted each at most once in one instant")
        readings = self._order.rows(values, len(rows))
        stamp = None if time is None else nanoseconds(time)
        before = self._time[rows]
        if stamp is not None and (before >= stamp).any():
            raise self._late(rows[before >= stamp][0], stamp)
        elapsed = steps_since(before, stamp, self._detector.period_s_)
        lower, upper = (None, None) if self._streams is None else self._streams.bands(rows)
        expected, shares = np.empty(readings.shape), np.empty(readings.shape)
        score = np.empty(len(rows))
        advance_all(
            self._cell, self._state, rows, readings, elapsed, score, expected, shares, self._stats
        )
        score = self._detector.in_mode(score, readings)
        if stamp is not None:
            self._time[rows] = stamp
        if self._streams is not None:
            for row, own, then in zip(rows, readings, before.tolist(), strict=True):
                self._streams.read_on(row, own, then, stamp)
        threshold = self._detector.threshold_
        return Results(
            time=time,
            assets=names,
            score=score,
            threshold=threshold,
            p_value=np.array([10.0**-one for one in score.tolist()]),  # numpy's power rounds apart
            is_anomaly=score > threshold,
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
        return self._streams.forecast(self._asset_row(asset), horizon, quantiles)

    def snapshot(self) -> bytes:
        """Return the state of all assets; `restore` of the same models goes on from there."""
        arrays: dict[str, NDArray[Any]] = {"state": self._state, "time": self._time}
        if self._streams is not None:
            arrays |= self._streams.snapshot()
        return pack({"models": self._fingerprints(), "assets": list(self._assets)}, arrays)

    def restore(self, content: bytes) -> None:
        """Go on from a snapshot of a stepper around the same models, tags and assets.

        Raises
        ------
        ModelFileError : damaged bytes, another model's state, or other assets; then the stepper
            stands where it stood
        """
        head, arrays = unpack(content)
        for name, own in self._fingerprints().items():
            if not isinstance(head.get("models"), dict) or head["models"].get(name) != own:
                raise ModelFileError(
                    f"the snapshot was made with another model ({name}); start anew with this one"
                )
        if head.get("assets") != list(self._assets):
            raise ModelFileError(
                f"the snapshot holds assets {head.get('assets')}, wanted {list(self._assets)}"
            )
        state, time = check_state(arrays, {"state": self._state, "time": self._time})
        if self._streams is not None:
            self._streams.restore(arrays)
        self._state, self._time = state, time

    def _late(self, row: int, stamp: int) -> DataError:
        then = np.datetime64(int(self._time[row]), "ns")
        return DataError(
            f"time {np.datetime64(stamp, 'ns')} is not after the row before ({then}) of asset "
            f"{self._assets[row]!r}. Step each asset in the order of time."
        )

    def _fingerprints(self) -> dict[str, str | None]:
        """Return a hash of each model: coefficients, tags and period, as they are now."""
        models = {"detector": self._detector, "forecaster": self._forecaster}
        return {name: None if m is None else fingerprint(m) for name, m in models.items()}

    def _asset_row(self, asset: str | None) -> int:
        if asset is None and len(self._row) == 1:
            return 0
        try:
            return self._row[str(asset)]
        except KeyError:
            raise DataError(
                f"asset {asset!r} is not one of this stepper's: {list(self._assets)}"
            ) from None
