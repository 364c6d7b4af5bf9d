"""Measure what selectivity adds to a fixed memory, and draw what the gate listens to.

    python docs/scripts/selectivity.py measure docs/images/selectivity.csv --data /path/to/data
    python docs/scripts/selectivity.py table docs/images/selectivity.csv
    python docs/scripts/selectivity.py draw docs/images/selectivity.png

`measure` fits `SSMForecaster` with each kind of memory on the same rows and judges it on the rows
that follow: 70 % to learn, 10 % to choose by, the rest to judge. Readout, quantiles and calibration
are the same. Errors are in spreads of each tag. Spikes are put into what is read, 2 % of the
readings, 5 to 15 spreads high or low; what is judged against has none. `--data` holds
`forecast/air_quality` and `forecast/wind_scada`; without it the simulated plant is measured alone.
`draw` needs altair and vl-convert-python.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import defaultdict
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MEMORIES = ("fixed", "gated", "selective")
LEVELS = np.arange(1, 10) / 10
SEEDS = 3
ORIGINS = 1500
COLUMNS = ("case", "seed", "memory", "crps", "mse", "inside_80", "gate", "kept", "fit_cpu_s")

#: The set, its horizon in steps, and whether spikes are put in.
CASES = (
    ("plant", 24, False),
    ("plant", 24, True),
    ("plant", 96, False),
    ("plant", 96, True),
    ("air_quality", 24, False),
    ("air_quality", 24, True),
    ("wind_scada", 144, False),
    ("wind_scada", 144, True),
)


class Readings(NamedTuple):
    """What is read and what it is judged against, (n, M) in spreads; where learning and choosing end."""

    values: FloatArray
    truth: FloatArray
    trained: int
    chosen: int


def load(name: str, seed: int, data: Path | None) -> Readings | None:
    """Return a set; the plant is another one for each seed. None where it is not at hand."""
    if name == "plant":
        from sensorssm.datasets import simulate_plant

        plant = simulate_plant(assets=1, days=56, faults=None, seed=seed)
        values = plant.values[plant.assets[0]]
        trained, chosen = (int(share * len(values)) for share in (0.7, 0.8))
    elif data is None:
        return None
    else:
        import polars as pl

        folder = data / "forecast" / name
        about = json.loads((folder / "meta.json").read_text())
        _, trained, chosen, end = about["borders"]
        table = pl.read_parquet(folder / "data.parquet").select(about["columns"])
        values = table.cast(pl.Float64).to_numpy()[:end]
    level, scale = np.nanmean(values[:trained], axis=0), np.nanstd(values[:trained], axis=0)
    values = (values - level) / np.where(scale > 0, scale, 1.0)
    return Readings(values, values, trained, chosen)


def with_spikes(given: Readings, seed: int) -> Readings:
    """Return the same with 2 % of what is read replaced."""
    rng = np.random.default_rng(100 + seed)
    shape = given.values.shape
    size = rng.choice([-1.0, 1.0], shape) * rng.uniform(5.0, 15.0, shape)
    return given._replace(values=given.values + (rng.random(shape) < 0.02) * size)


def judge(given: Readings, memory: str, horizon: int, seed: int) -> dict[str, Any]:
    """Return one row of the table."""
    from sensorssm.estimators import SSMForecaster
    from sensorssm.evaluation import crps_from_quantiles, interval_coverage, mean_squared_error

    values, truth, trained, chosen = given
    begun = process_time()
    model = SSMForecaster(horizon=horizon, memory=memory, random_state=seed)
    model.fit(values[:trained], X_val=values[trained:chosen])
    took = process_time() - begun

    origins = np.arange(chosen - 1, len(values) - horizon)
    origins = origins[np.linspace(0, len(origins) - 1, min(len(origins), ORIGINS)).astype(int)]
    observed = truth[origins[:, None] + np.arange(1, horizon + 1)]
    told = model.forecast_from(values, origins, quantiles=LEVELS)
    return {
        "memory": memory,
        "crps": crps_from_quantiles(observed, told, LEVELS),
        "mse": mean_squared_error(observed, model.forecast_from(values, origins)),
        "inside_80": interval_coverage(observed, told[..., 0], told[..., -1]),
        "gate": int((model.listening(values) < np.isfinite(values)).any()),
        "kept": round(model.selective_gain_, 4),
        "fit_cpu_s": round(took, 1),
    }


def measure(out: Path, data: Path | None, only: str | None) -> None:
    """Write one row for each case, seed and memory."""
    with out.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        for name, horizon, spiked in CASES:
            for seed in range(SEEDS if only in (None, name) else 0):
                given = load(name, seed, data)
                if given is None:
                    continue
                given = with_spikes(given, seed) if spiked else given
                case = f"{name}{' with spikes' if spiked else ''}, {horizon} steps"
                for memory in MEMORIES:
                    row = judge(given, memory, horizon, seed)
                    table.writerow({"case": case, "seed": seed, **_short(row)})
                    file.flush()


def _short(row: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}


def as_markdown(source: Path) -> str:
    """Return the means over the seeds, and each memory's CRPS against the fixed one's."""
    found: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    with source.open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["case"]][row["memory"]].append(row)
    lines = [
        "| set, horizon | fixed | gated | selective | gated, change | selective, change | by seed | "
        + "its MSE | correction kept |",
        "| --- |" + " ---: |" * 8,
    ]
    for case, rows in found.items():
        crps = {m: np.array([float(row["crps"]) for row in rows[m]]) for m in MEMORIES}
        mse = {m: np.mean([float(row["mse"]) for row in rows[m]]) for m in MEMORIES}
        change = {m: 100 * (crps[m] / crps["fixed"] - 1) for m in MEMORIES}
        kept = sum(float(row["kept"]) > 0 for row in rows["selective"])
        cells = [
            *(f"{crps[m].mean():.4f}" for m in MEMORIES),
            *(f"{change[m].mean():+.1f} %" for m in MEMORIES[1:]),
            " ".join(f"{one:+.1f}" for one in change["selective"]),
            f"{100 * (mse['selective'] / mse['fixed'] - 1):+.1f} %",
            f"{kept} of {len(crps['fixed'])}",
        ]
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(out: Path) -> None:
    """Draw the product flow around a change of the plant's load, and how far it is listened to."""
    import altair as alt
    import vl_convert

    window = _around_a_change()
    rows = alt.Chart(alt.Data(values=window), width=640)
    hour = alt.X("hour:Q", title="hours from the change of load")
    colour = alt.value("#0f6fb5")
    readings = rows.mark_line(point=alt.OverlayMarkDef(size=14), strokeWidth=1).encode(
        hour, alt.Y("flow:Q", title="flow, in spreads"), color=colour
    )
    heard = rows.mark_area(interpolate="step-after", opacity=0.35, line=True).encode(
        hour, alt.Y("heard:Q", title="listening"), color=colour
    )
    chart = alt.vconcat(readings.properties(height=180), heard.properties(height=80))
    out.write_bytes(vl_convert.vegalite_to_png(chart.to_dict(), scale=1.0))


def _around_a_change(hours: float = 4.0) -> list[dict[str, float]]:
    """Return the readings of the flow, with spikes, around the largest change among judged rows."""
    from sensorssm.datasets.tags import FLOW, LOAD
    from sensorssm.estimators import SSMForecaster

    given = load("plant", 0, None)
    assert given is not None, "the plant is always at hand"
    given = with_spikes(given, 0)
    model = SSMForecaster(horizon=24, memory="gated")
    model.fit(given.values[: given.trained], X_val=given.values[given.trained : given.chosen])
    heard = model.listening(given.values)[:, FLOW]
    reach = round(12 * hours)  # rows of five minutes
    change = np.abs(np.diff(given.truth[:, LOAD]))[given.chosen : -reach]
    middle = given.chosen + 1 + int(np.argmax(change))
    return [
        {"hour": (row - middle) / 12, "flow": given.values[row, FLOW], "heard": heard[row]}
        for row in range(middle - reach, middle + reach)
    ]


def main() -> None:
    """Measure, print the table, or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command")
    for name in ("measure", "table", "draw"):
        command = commands.add_parser(name)
        command.add_argument("file", type=Path)
        if name == "measure":
            command.add_argument("--data", type=Path)
            command.add_argument("--only", help="one set, such as plant")
    given = parser.parse_args()
    if given.command == "measure":
        measure(given.file, given.data, given.only)
    elif given.command == "table":
        sys.stdout.write(as_markdown(given.file) + "\n")
    else:
        draw(given.file)


if __name__ == "__main__":
    main()
