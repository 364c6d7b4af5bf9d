"""Measure how each layer's training and online step grow with the length of the sequence.

    python docs/scripts/sequence_length.py measure docs/images/sequence-length.csv
    python docs/scripts/sequence_length.py draw docs/images/sequence-length.csv docs/images/sequence-length.png

`measure` counts time of one thread of the processor, not of the wall, and needs what sensorssm
needs; `draw` needs altair and vl-convert-python. Networks differ in their layer alone. One repetition goes through every
layer and length, so that whatever else the machine does falls on all of them alike; the median of
the repetitions is kept. `attention` looks back on the whole sequence.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from time import process_time

LAYERS = ("selective", "fixed", "s4d", "lstm", "attention")
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
WIDTH, DEPTH, TAGS = 32, 2, 7
REPETITIONS, STEPS = 5, 30
#: Attention is trained up to this length: twice as long takes more than two gigabytes.
LONGEST_ATTENTION = 2048

#: What is measured: the column of the table, and how the plot calls it.
TITLES = {
    "train_us_per_row": "training, microseconds per row",
    "step_us": "one online step, microseconds",
    "state_bytes": "state kept between steps, bytes",
}


def measure(out: Path) -> None:
    """Write one row a layer and length: the medians of all repetitions."""
    import torch

    torch.set_num_threads(1)
    seen: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for repetition in range(REPETITIONS + 1):
        for length in LENGTHS:
            for layer in LAYERS:
                for name, value in measure_one(layer, length).items():
                    if repetition:  # the first only warms up
                        seen[layer, length][name].append(value)
    with out.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["layer", "length", *TITLES])
        for (layer, length), found in sorted(seen.items()):
            row = [
                round(statistics.median(found[name]), 2) if found[name] else "" for name in TITLES
            ]
            table.writerow([layer, length, *row])
    sys.stdout.write(
        f"torch {torch.__version__}, one thread, {platform.machine()}, Python "
        f"{platform.python_version()}, width {WIDTH}, {DEPTH} blocks, {TAGS} tags\n"
        f"{as_markdown(out)}\n"
    )


def measure_one(layer: str, length: int) -> dict[str, float]:
    """Return one layer's costs at one length: an optimiser's gradient, a step, the state."""
    import torch

    from sensorssm.config import ModelConfig
    from sensorssm.models import SensorSSM

    generator = torch.Generator().manual_seed(0)
    config = ModelConfig(
        inputs=TAGS, targets=TAGS, horizon=1, layer=layer, dim=WIDTH, depth=DEPTH, context=length
    )
    network = SensorSSM(config, generator=generator)
    state = network.init_state(1)
    with torch.no_grad():
        times = []
        for row in torch.randn(STEPS, 1, 1, TAGS, generator=generator):
            begun = process_time()
            _, state = network(row, state)
            times.append(1e6 * (process_time() - begun))
    size = sum(part.numel() * part.element_size() for part in state.values())
    costs = {"step_us": statistics.median(times), "state_bytes": size}
    if layer == "attention" and length > LONGEST_ATTENTION:
        return costs

    x = torch.randn(1, length, TAGS, generator=generator)
    begun = process_time()
    y, _ = network(x, network.init_state(1))
    y.square().mean().backward()
    return costs | {"train_us_per_row": 1e6 * (process_time() - begun) / length}


def as_markdown(source: Path) -> str:
    """Return each layer's costs at three lengths."""
    with source.open(newline="") as file:
        rows = {(row["layer"], int(row["length"])): row for row in csv.DictReader(file)}
    picked = (64, LONGEST_ATTENTION, LENGTHS[-1])
    heads = [f"{name} at {n:,}" for name in ("us a row", "us a step", "bytes") for n in picked]
    lines = [f"| layer | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads)]
    for layer in LAYERS:
        cells = [rows[layer, n][name] for name in TITLES for n in picked]
        shown = [f"{float(cell):,.0f}" if cell else "" for cell in cells]
        lines.append(f"| {layer} | {' | '.join(shown)} |")
    return "\n".join(lines)


def draw(source: Path, out: Path) -> None:
    """Draw the three costs against the length, on logarithmic axes."""
    import altair as alt
    import vl_convert

    with source.open(newline="") as file:
        rows = [
            {k: v if k == "layer" else float(v) for k, v in r.items() if v}
            for r in csv.DictReader(file)
        ]
    length = alt.X("length:Q", title="rows of the sequence").scale(type="log", base=2)
    colours = alt.Color("layer:N", sort=list(LAYERS), title=None).scale(
        domain=list(LAYERS), range=["#0f6fb5", "#4aa3a2", "#e0a030", "#8a8f98", "#d1495b"]
    )
    charts = [
        alt.Chart(alt.Data(values=rows), width=240, height=220)
        .transform_filter(f"isValid(datum.{name})")
        .mark_line(point=True)
        .encode(length, alt.Y(f"{name}:Q", title=title).scale(type="log"), colours)
        for name, title in TITLES.items()
    ]
    chart = alt.hconcat(*charts).configure_legend(orient="top")
    out.write_bytes(vl_convert.vegalite_to_png(chart.to_dict(), scale=1.0))


def main() -> None:
    """Measure or draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command")
    for name in ("measure", "draw"):
        command = commands.add_parser(name)
        command.add_argument("csv", type=Path)
        if name == "draw":
            command.add_argument("png", type=Path)
    given = parser.parse_args()
    if given.command == "measure":
        measure(given.csv)
    else:
        draw(given.csv, given.png)


if __name__ == "__main__":
    main()
