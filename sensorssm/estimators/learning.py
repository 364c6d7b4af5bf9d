"""One pass over the readings: the sums a readout is solved from, and the rows it is judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sensorssm.estimators.targets import Targets
from sensorssm.models.linear import SEASON, Bases, LinearForecast
from sensorssm.models.memory import Features, Gate, Memory, MemoryState
from sensorssm.models.readout import Sums

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Item = TypeVar("Item")
Result = TypeVar("Result")

TRAIN_BLOCKS = 4
# Rows that are kept to judge forecasts on: enough for a 1 % quantile, few enough to be quick.
KEPT_ROWS = 2000
# Targets between readings at most this many steps apart are learned from the line between them.
BRIDGE = 8.0
# The memory fills for this share of the level's decay time: three seasons.
FILLING = 3 / 14
# A last season cannot be judged before it was read, for which it may take this share of the rows.
MOST_FILLING = 0.6
# Rows of which less than this share of the horizon is known teach nothing.
LEAST_KNOWN = 0.5
CHUNK_FLOATS = 4_000_000
# No asset of a fleet counts more, nor less, than this many others of its length.
MOST_WEIGHT = 100.0


@dataclass(frozen=True)
class Series:
    """The readings of one asset: `trained` rows to learn from, then rows that only judge.

    `distrusted` (n, M), where given, marks readings that are no targets to learn from.
    """

    values: FloatArray
    elapsed: FloatArray
    trained: int
    distrusted: NDArray[np.bool_] | None = None

    @property
    def lessons(self) -> FloatArray:
        """Return the readings that may be targets, (n, M), NaN elsewhere."""
        if self.distrusted is None:
            return self.values
        return np.where(self.distrusted, np.nan, self.values)


@dataclass
class Kept:
    """Rows kept to judge forecasts: each asset's row numbers; in pieces, the block that they are
    held back in, features and truth."""

    rows: list[IntArray] = field(default_factory=list)
    block: list[IntArray] = field(default_factory=list)
    features: list[Features] = field(default_factory=list)
    truth: list[FloatArray] = field(default_factory=list)

    def joined(self) -> tuple[IntArray, Features, FloatArray]:
        """Return the blocks (k,), features and truth (k, H, M) of all assets in one piece."""
        features = Features.joined(self.features)
        return np.concatenate(self.block), features, np.concatenate(self.truth)

    def extend(self, other: Kept) -> None:
        """Take in the rows of further assets."""
        for own, more in zip(vars(self).values(), vars(other).values(), strict=True):
            own.extend(more)


@dataclass(frozen=True)
class Lesson:
    """How is learned. `guess`, a forecast of an earlier pass, fills holes in the targets; `threads`
    assets are read side by side, which changes no result."""

    memory: Memory
    seasons: tuple[int, ...]
    horizon: int
    start: FloatArray
    gate: Gate | None = None
    guess: LinearForecast | None = None
    threads: int = 1

    @property
    def bases(self) -> Bases:
        """Return the base forecasts that are tried."""
        return Bases(self.seasons, self.horizon, self.memory.last_column, self.memory.ring)


class Tail(NamedTuple):
    """The last rows of an asset, whose horizon has yet to be read, and the memory before them."""

    memory: MemoryState
    values: FloatArray
    elapsed: FloatArray


@dataclass(frozen=True)
class Learned:
    """The outcome of a pass. Block numbers: 0.. are training, then margins, then judging rows."""

    sums: Sums
    kept: Kept
    tails: list[Tail]
    plans: list[IntArray]
    train_blocks: int

    @property
    def margin(self) -> int:
        """Return the block of training rows too close to a border to judge on."""
        return self.train_blocks

    @property
    def judging(self) -> int:
        """Return the block of rows that follow the training rows."""
        return self.train_blocks + 1


def learn(lesson: Lesson, series: Sequence[Series]) -> Learned:
    """Read every asset once, from its own empty state, and add up what a readout needs."""
    plans = [_blocks(one, lesson) for one in series]
    tags = series[0].values.shape[1]
    rows = sum(int(np.count_nonzero(_judges(plan))) for plan in plans)
    stride = max(1, rows // _kept_rows(lesson, tags))
    sums, kept, tails = _no_sums(lesson, tags), Kept(), []
    weights = asset_weights(series)

    def read(asset: int) -> tuple[Sums, Kept, Tail]:
        own, rows = _no_sums(lesson, tags), Kept()
        tail = _learn_one(lesson, series[asset], plans[asset], stride, own, rows)
        own.weigh(weights[asset])
        return own, rows, tail

    for low in range(0, len(series), lesson.threads):  # only so many sums are held at once
        some = range(low, min(low + lesson.threads, len(series)))
        for own, judged, tail in in_threads(read, some, lesson.threads):
            sums.join(own)
            kept.extend(judged)
            tails.append(tail)
    return Learned(sums, kept, tails, plans, TRAIN_BLOCKS)


def asset_weights(series: Sequence[Series]) -> FloatArray:
    """Return what the sums of each asset count, (A, M): the fleet's mean variance over the asset's
    own, so that those with large swings do not speak for all; 1 for a single asset.
    """
    size = np.array([_variance(one.values[: one.trained]) for one in series])
    usual = size.mean(axis=0) + np.zeros_like(size)
    weights = np.where(usual > 0, MOST_WEIGHT, 1.0)
    np.divide(usual, size, out=weights, where=size > 0)
    return np.clip(weights, 1.0 / MOST_WEIGHT, MOST_WEIGHT)


def _variance(values: FloatArray) -> FloatArray:
    """Return the variance (M,) of what is known; 0 where nothing is."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    level = np.sum(values, axis=0, where=known) / count
    return np.sum((values - level) ** 2, axis=0, where=known) / count


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Return the work on each item, in their order, by at most so many threads."""
    if threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def _no_sums(lesson: Lesson, tags: int) -> Sums:
    columns = lesson.horizon + sum(min(season, lesson.horizon) for season in lesson.seasons)
    origins = len(lesson.bases.origins)
    judged = (origins, origins, lesson.horizon)
    return Sums.empty(TRAIN_BLOCKS + 2, tags, lesson.memory.feature_count, columns, judged)


def learn_on(lesson: Lesson, tail: Tail, sums: Sums) -> Tail:
    """Add the rows of `tail` that have their horizon by now to a single block of sums; return
    what is left."""
    targets = Targets.of(tail.values, tail.elapsed, BRIDGE)
    ready = targets.origins(lesson.horizon)
    memory = tail.memory.copy()
    size = row_floats(lesson.memory, len(lesson.start), 3 * lesson.horizon)
    for cut in chunks(ready, size):
        rows = np.arange(cut.start, cut.stop)
        features = lesson.memory.advance(
            tail.values[cut], tail.elapsed[cut], memory, rows=rows - cut.start, gate=lesson.gate
        )
        _add(lesson, sums, features, targets, rows, np.zeros(len(rows), dtype=np.int64))
    return Tail(memory, tail.values[ready:].copy(), tail.elapsed[ready:].copy())


def chunks(rows: int, floats_a_row: int, border: int = 0) -> Iterator[slice]:
    """Cut `rows` into slices whose features fit the memory that a pass may take; also at `border`."""
    size = max(16, CHUNK_FLOATS // max(floats_a_row, 1))
    for low, high in ((0, border), (border, rows)):
        yield from (slice(at, min(at + size, high)) for at in range(low, high, size))


def row_floats(memory: Memory, tags: int, horizon: int) -> int:
    """Return the numbers that one row of features and targets takes."""
    return tags * (memory.feature_count + memory.ring + horizon)


def _kept_rows(lesson: Lesson, tags: int) -> int:
    floats = row_floats(lesson.memory, tags, 2 * lesson.horizon)
    return int(np.clip(40_000_000 // floats, 200, KEPT_ROWS))


def _judges(plan: IntArray) -> NDArray[np.bool_]:
    return (plan >= 0) & (plan != TRAIN_BLOCKS)


def _blocks(series: Series, lesson: Lesson) -> IntArray:
    """Return the block (n,) of each row, -1 where nothing is learned from it.

    That is where the horizon leaves the rows it may see, and at the start, where the memory still
    fills and is unlike what it will be. The last rows of a block have their horizon in the next
    one; they are margin, so that a block is never judged by weights that saw its readings.
    """
    block, horizon = np.full(len(series.values), -1), lesson.horizon
    targets = Targets.of(series.values, series.elapsed)
    position = targets.position
    usable = int(np.searchsorted(position, position[series.trained - 1] - horizon, side="right"))
    season = min(max(lesson.seasons, default=1) - 1, MOST_FILLING * usable)
    filling = int(max(min(usable / 10, FILLING * lesson.memory.level_tau), season))
    cuts = np.linspace(filling, usable, TRAIN_BLOCKS + 1).astype(int)
    for k, (low, high) in enumerate(pairwise(cuts)):
        block[low:high] = k
        block[high - min(horizon, (high - low) // 3) : high] = TRAIN_BLOCKS
    block[series.trained : targets.origins(horizon)] = TRAIN_BLOCKS + 1
    return block


def _learn_one(
    lesson: Lesson, series: Series, plan: IntArray, stride: int, sums: Sums, kept: Kept
) -> Tail:
    """Read one asset; return the rows to learn from later."""
    state = lesson.memory.init_state(lesson.start)
    targets = Targets.of(series.lessons, series.elapsed, BRIDGE)
    observed = Targets.of(series.values, series.elapsed)
    keep = np.zeros(len(plan), dtype=bool)
    kept.rows.append(np.flatnonzero(_judges(plan))[::stride])
    keep[kept.rows[-1]] = True
    tags = series.values.shape[1]
    size = row_floats(lesson.memory, tags, 3 * lesson.horizon)
    ready = targets.origins(lesson.horizon)
    before = state.copy()
    for cut in chunks(len(plan), size, ready):
        if cut.start == ready:
            before = state.copy()
        inside = np.flatnonzero(plan[cut] >= 0)
        features = lesson.memory.advance(
            series.values[cut], series.elapsed[cut], state, rows=inside, gate=lesson.gate
        )
        rows = inside + cut.start
        _add(lesson, sums, features, targets, rows, plan[rows])
        chosen = np.flatnonzero(keep[rows])
        if len(chosen):
            kept.block.append(plan[rows[chosen]])
            kept.truth.append(observed.after_all(rows[chosen], lesson.horizon))
            kept.features.append(features.at(chosen))
    return Tail(before, series.values[ready:].copy(), series.elapsed[ready:].copy())


def _add(
    lesson: Lesson,
    sums: Sums,
    features: Features,
    targets: Targets,
    rows: IntArray,
    block: IntArray,
) -> None:
    bases = lesson.bases
    for tag in range(features.level.shape[1]):
        level = features.level[:, tag, None]
        y, usable = _filled(lesson, features, targets.after(rows, lesson.horizon, tag), tag)
        above = y - level
        seasons = [bases.seasonal(b, features, tag) for b in range(SEASON, bases.count)]
        columns = np.concatenate([above, *seasons], axis=1)
        seasonal = [above - bases.offset(b, features, tag) for b in range(SEASON, bases.count)]
        left = np.stack([above, *seasonal])
        usable = usable & (features.waited[:, tag] == 0.0)  # without a reading nothing is new
        for k in np.unique(block[usable]):
            chosen = usable & (block == k)
            products = np.einsum("akh,bkh->abh", left[:, chosen], left[:, chosen])
            sums.add(int(k), tag, features.z[tag, chosen], columns[chosen], products)


def _filled(
    lesson: Lesson, features: Features, y: FloatArray, tag: int
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Fill the holes of targets y (k, H), by a guess or the level; say which rows to learn from."""
    known = np.isfinite(y)
    if known.all():
        return y, np.ones(len(y), dtype=bool)
    guess = features.level[:, tag, None]
    if lesson.guess is not None:
        guess = lesson.guess.forecast_tag(features, tag, lesson.horizon)
    return np.where(known, y, guess), known.mean(axis=1) >= LEAST_KNOWN
