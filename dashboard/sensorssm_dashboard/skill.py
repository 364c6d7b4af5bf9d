"""How the judged forecasters compare: by model, by step, by level and by tag."""

from __future__ import annotations

from typing import Final

import polars as pl

BAND: Final = 0.8  # of the readings, the interval that pages and reports speak of


def newest(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the newest run; names of runs begin with when they began."""
    return rows.filter(pl.col("run") == pl.col("run").max())


def ours_first(models: list[str]) -> list[str]:
    """Return the models in the order they are shown: this project's before what it must beat."""
    return sorted(models, key=lambda name: (not name.lower().startswith("ssm"), name))


def by_step(skill: pl.DataFrame) -> pl.DataFrame:
    """Return model, step, pinball and mae, over all assets and tags; a reading counts alike."""
    return _mean(skill, "model", "step").sort("model", "step")


def by_model(skill: pl.DataFrame, calibration: pl.DataFrame) -> pl.DataFrame:
    """Return a row a model: pinball, mae, `gain` and what the 80 % band holds, the best first.

    `gain` is the share of the best rival's pinball loss that is saved; below zero where a rival
    does better.
    """
    rows = _mean(skill, "model")
    others = [
        rows.filter(pl.col("model") != name)["pinball"].min() for name in rows["model"]
    ]  # the best of the others
    held = coverage(calibration).filter((pl.col("asked") - BAND).abs() < 1e-9)
    return (
        rows.with_columns(best=pl.Series(others, dtype=pl.Float64))
        .with_columns(gain=1 - pl.col("pinball") / pl.col("best"))
        .join(held.select("model", band="measured"), on="model", how="left")
        .select("model", "pinball", "mae", "gain", "band")
        .sort("pinball", "model")
    )


def coverage(calibration: pl.DataFrame) -> pl.DataFrame:
    """Return model, asked and measured: the share of readings inside each central interval."""
    known = calibration.filter(pl.col("below").is_finite())
    weight = pl.col("readings").cast(pl.Float64)
    shares = known.group_by("model", "level").agg(
        below=(pl.col("below") * weight).sum() / weight.sum()
    )
    rounded = shares.with_columns(asked=(1 - 2 * pl.col("level")).round(9))
    low, high = (rounded.filter(pl.col("asked") * sign > 0) for sign in (1, -1))
    pairs = low.join(high.with_columns(-pl.col("asked")), on=["model", "asked"], suffix="_high")
    return pairs.select("model", "asked", measured=pl.col("below_high") - pl.col("below")).sort(
        "model", "asked"
    )


def by_tag(skill: pl.DataFrame) -> pl.DataFrame:
    """Return asset, tag, ours, rival and gain: where a rival comes closest, or is ahead, first.

    `ours` is the pinball loss of the model that is shown first, `rival` the name of the best of
    the others, and `gain` the share of its loss that ours saves.
    """
    models = ours_first(skill["model"].unique().to_list())
    if len(models) < 2:
        return pl.DataFrame(schema=_BY_TAG)
    means = _mean(skill, "asset", "tag", "model").filter(pl.col("pinball").is_finite())
    own = means.filter(model=models[0]).select("asset", "tag", ours="pinball")
    rivals = (
        means.filter(pl.col("model") != models[0])
        .sort("pinball", "model")
        .unique(["asset", "tag"], keep="first", maintain_order=True)
        .select("asset", "tag", rival="model", best="pinball")
    )
    gain = pl.when(pl.col("best") > 0).then(1 - pl.col("ours") / pl.col("best"))
    joined = own.join(rivals, on=["asset", "tag"]).with_columns(gain=gain)
    return joined.select(*_BY_TAG).sort("gain", "asset", "tag", nulls_last=True)


_BY_TAG: Final = {
    "asset": pl.String, "tag": pl.String, "ours": pl.Float64, "rival": pl.String,
    "gain": pl.Float64,
}  # fmt: skip


def _mean(skill: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Return the means of pinball and mae over all but `keys`, each reading counting alike."""
    known = skill.filter(pl.col("pinball").is_finite(), pl.col("readings") > 0)
    weight = pl.col("readings").cast(pl.Float64)
    return known.group_by(*keys).agg(
        (pl.col(name) * weight).sum() / weight.sum() for name in ("pinball", "mae")
    )
