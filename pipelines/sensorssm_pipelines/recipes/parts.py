"""The parts of a recipe: every setting of a job, with its default, its unit and its meaning."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sensorssm_pipelines.periods import parse_period
from sensorssm_pipelines.recipes.values import Mark, Measure, Pattern, Period, Separator, Zone


class Part(BaseModel):
    """A table of a recipe; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Columns(Part):
    """What the file calls each column; a wide file has `time` and perhaps `asset`."""

    time: str = "time"
    asset: str | None = None
    tag: str = "tag"
    value: str = "value"
    quality: str | None = None
    unit: str | None = None


class Source(Part):
    """Files of one kind: where they are, how they are laid out, what their codes mean.

    `asset` names the asset of every reading, or is ``"{file}"`` for the file's own name, unless
    a column does. `quality` is the dialect of the quality column and never guessed: 0 is Good in
    OPC UA and Bad in OPC DA.
    """

    path: str
    files: list[Pattern] = ["*.csv", "*.parquet"]
    exclude: list[Pattern] = []
    layout: Literal["long", "wide"]
    separator: Separator = ","
    decimal_comma: bool = False
    encoding: Literal["utf8", "utf8-lossy", "windows-1252", "utf-16"] = "utf8"
    columns: Columns = Columns()
    asset: str | None = None
    quality: Literal["internal", "opcda", "opcua", "none"] | None = None
    time_format: str = "iso"
    time_zone: Zone = "UTC"
    earliest: datetime = datetime(1990, 1, 1)
    latest: datetime | None = None
    label: str | None = None
    ignore: list[str] = []

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.columns.quality is not None and self.quality is None:
            raise ValueError(
                f"column {self.columns.quality!r} holds quality codes, and 0 is Good in OPC UA but "
                "Bad in OPC DA. Set quality to 'internal', 'opcda', 'opcua' or 'none'"
            )
        if self.columns.quality is None and self.quality not in (None, "none"):
            raise ValueError("quality needs columns.quality, the column that holds the codes")
        if self.columns.asset is None and self.asset is None:
            raise ValueError(
                "no asset. Name it (asset = 'pump 1'), take the file's name (asset = '{file}') "
                "or a column (columns.asset = 'asset')"
            )
        return self


class Tag(Part):
    """One measured signal: its name in the files, its unit, its range, what to do about it."""

    name: str
    unit: str | None = None
    description: str = ""
    low: float | None = None
    high: float | None = None
    action: str = ""


class Grid(Part):
    """The clean grid; without a period every asset keeps the times it was read at."""

    period: Period | None = None

    @property
    def step(self) -> timedelta | None:
        return None if self.period is None else parse_period(self.period)


class Split(Part):
    """Where each asset's rows are cut.

    Models learn from the rows before `fit` (the earliest of several marks); a forecaster chooses
    among settings on those from there to `valid` (none), and is judged on those from there to
    `test` (the end). The rows from `score` (by default `fit`) on are scored. With a `reference`
    asset, one detector is fitted, on that asset, and every row of the others is scored with it.
    """

    fit: Mark | Annotated[list[Mark], Field(min_length=1)]
    valid: Mark | None = None
    test: Mark | None = None
    score: Mark | None = None
    reference: str | None = None


class Forecast(Part):
    """The forecaster, and how far and how often it is tried on the test span."""

    horizon: int = Field(default=96, ge=1)
    season: int | list[int] | Literal["auto"] = "auto"
    memory: Literal["fixed", "gated", "selective", "auto"] = "gated"
    lags: int = Field(default=8, ge=1)
    horizons: list[int] = []
    stride: int = Field(default=1, ge=1)
    store_every: int = Field(default=48, ge=1)


class Detect(Part):
    """The detector; `alarm_budget` is false alarms per asset and week, `modes` a tag or "auto"."""

    false_alarm_rate: float = Field(default=1e-3, gt=0, lt=1)
    alarm_budget: float | None = Field(default=None, gt=0)
    modes: str | None = None


class Alarms(Part):
    """When a score becomes an alarm: delays in steps, deadband in score.

    An alarm that opens within `grace` after a known fault's end counts as its recovery, not as
    false.
    """

    rule: str = "anomaly"
    on_delay: int = Field(default=1, ge=1)
    off_delay: int = Field(default=1, ge=1)
    deadband: float = Field(default=0.0, ge=0)
    grace: Period | None = None


class Judge(Part):
    """Which numbers judge the detector row by row where faults are known, in the table's order.

    `vus_window` is in rows: the volume under the surface depends on it.
    """

    measures: list[Measure] = Field(
        default=["f1", "false_alarm_rate", "missed_alarm_rate", "vus_pr"], min_length=1
    )
    vus_window: int = Field(default=100, ge=0)


class Baselines(Part):
    """What the models must beat: the season in steps, and the span of the moving average."""

    season: int = Field(default=24, ge=1)
    span: int = Field(default=24, ge=1)


class Recipe(Part):
    """Everything that a job does, in one file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    description: str = ""
    store: str
    seed: int = Field(default=0, ge=0)
    sources: list[Source] = Field(min_length=1)
    tags: list[Tag] = []
    grid: Grid = Grid()
    split: Split
    forecast: Forecast | None = None
    detect: Detect | None = None
    alarms: Alarms = Alarms()
    judge: Judge = Judge()
    baselines: Baselines = Baselines()

    @model_validator(mode="after")
    def _has_one_way_to_learn(self) -> Self:
        if self.split.reference is not None and self.forecast is not None:
            raise ValueError(
                "split.reference is for detectors, and the recipe has a [forecast]. Leave one out"
            )
        return self
