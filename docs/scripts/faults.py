"""Draw what the detector makes of each simulated fault.

    python docs/scripts/faults.py docs/images/faults.png

Simulates the plant of `sensorssm demo`, fits on its healthy first part with one false alarm asked
an asset and week, and scores the rest. Needs matplotlib. The table of the panels goes to stdout.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorssm import SSMDetector, simulate_plant
from sensorssm.datasets.faults import Fault
from sensorssm.datasets.plant import Plant

HOUR = np.timedelta64(1, "h")
RECOVERY = 2 * HOUR  # an alarm may open this long after a repair and still be about the fault
FloatArray = NDArray[np.float64]

INK, FAINT, FAULT, ALARM = "#1f2933", "#69757f", "#fdf0d5", "#d1495b"
SCORE, EXPECTED, RIGHT = "#2f6f9f", "#4aa3a2", "#2b7a4b"


@dataclass(frozen=True)
class Panel:
    """One fault: hours from its start, the tag's readings, the score, and its first alarm."""

    fault: Fault
    hours: FloatArray
    readings: FloatArray
    expected: FloatArray
    score: FloatArray
    unit: str
    delay_h: float | None
    first_tag: str | None

    @property
    def lasts_h(self) -> float:
        return float((self.fault.ended - self.fault.started) / HOUR)


def fit(plant: Plant) -> SSMDetector:
    """Return a detector that knows the plant's healthy part."""
    rows = int(np.searchsorted(plant.time, plant.normal_until))
    return SSMDetector(alarm_budget=1.0).fit(
        np.vstack([values[:rows] for values in plant.values.values()]),
        times=np.tile(plant.time[:rows], len(plant.assets)),
        groups=np.repeat(plant.assets, rows),
    )


def panels(plant: Plant, detector: SSMDetector) -> list[Panel]:
    """Return a panel a fault, in the order of time."""
    names = [tag.name for tag in plant.tags]
    found = []
    for asset, values in plant.values.items():
        score = detector.anomaly_score(values, times=plant.time)
        expected = detector.expected(values, times=plant.time)
        events = detector.events(values, times=plant.time)
        for fault in (fault for fault in plant.faults if fault.asset == asset):
            lasts = fault.ended - fault.started
            margin = max(lasts * 0.35, 4 * HOUR)
            near = (plant.time >= fault.started - margin) & (plant.time < fault.ended + margin)
            tag = names.index(fault.tag)
            started = events["started"]
            opened = (started >= fault.started) & (started < fault.ended + RECOVERY)
            first = int(np.flatnonzero(opened)[0]) if opened.any() else None
            found.append(
                Panel(
                    fault,
                    (plant.time[near] - fault.started) / HOUR,
                    values[near, tag],
                    expected[near, tag],
                    score[near],
                    plant.tags[tag].unit,
                    None if first is None else float((started[first] - fault.started) / HOUR),
                    None if first is None else names[int(events["first_tag"][first][1:])],
                )
            )
    return sorted(found, key=lambda panel: panel.fault.started)


def draw(found: list[Panel], threshold: float, out: Path) -> None:
    """Write the small multiples: each fault's tag above, the score below, both over hours."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK})
    figure = plt.figure(figsize=(14, 7.4), facecolor="white")
    outer = figure.add_gridspec(
        2, 4, left=0.045, right=0.99, top=0.85, bottom=0.075, wspace=0.2, hspace=0.42
    )
    highest = 1.08 * max(float(np.nanmax(panel.score)) for panel in found)
    for place, panel in zip(outer, found, strict=True):
        cell = place.subgridspec(2, 1, height_ratios=[1, 1.35], hspace=0.08)
        above = figure.add_subplot(cell[0])
        below = figure.add_subplot(cell[1], sharex=above)
        _draw_tag(above, panel)
        _draw_score(below, panel, threshold, highest)
        if place.is_first_col() and place.is_first_row():
            above.legend(loc="upper left", frameon=False, fontsize=8, handlelength=1.2)
    count = sum(panel.delay_h is not None for panel in found)
    figure.text(
        0.045, 0.955, f"{count} of {len(found)} simulated faults found", size=15, weight="bold"
    )
    figure.text(
        0.045, 0.922,
        "Above: the faulty tag, read and expected. Below: the anomaly score, -log10 p, and the "
        "threshold for one false alarm an asset and week. Shaded: the fault, until its repair.",
        size=9.5, color=FAINT,
    )  # fmt: skip
    figure.savefig(out, dpi=110)


def _draw_tag(axes: Any, panel: Panel) -> None:
    axes.axvspan(0.0, panel.lasts_h, color=FAULT, lw=0)
    axes.plot(panel.hours, panel.expected, color=EXPECTED, lw=1.1, label="expected")
    axes.plot(panel.hours, panel.readings, color=INK, lw=0.9, label="read")
    axes.set_ylabel(panel.unit.replace("Cel", "°C"), color=FAINT, labelpad=2)
    axes.set_title(panel.fault.kind, loc="left", weight="bold", size=11, pad=16)
    axes.text(0.0, 1.05, _outcome(panel), transform=axes.transAxes, size=8.5, color=_colour(panel))
    axes.text(
        1.0, 1.26, f"{panel.fault.asset} · {panel.fault.tag}", transform=axes.transAxes,
        size=8.5, color=FAINT, ha="right",
    )  # fmt: skip
    axes.tick_params(labelbottom=False)
    _plain(axes)


def _draw_score(axes: Any, panel: Panel, threshold: float, highest: float) -> None:
    axes.axvspan(0.0, panel.lasts_h, color=FAULT, lw=0)
    axes.fill_between(
        panel.hours, threshold, panel.score, where=panel.score > threshold,
        color=ALARM, alpha=0.35, lw=0, interpolate=True,
    )  # fmt: skip
    axes.plot(panel.hours, panel.score, color=SCORE, lw=1.1)
    axes.axhline(threshold, color=ALARM, lw=0.9, ls=(0, (4, 3)))
    if panel.delay_h is not None:
        axes.plot(panel.delay_h, threshold, "v", color=ALARM, ms=7, mec="white", mew=0.8, zorder=5)
    axes.set_ylim(0.0, highest)
    axes.set_xlabel("hours from the start", color=FAINT, labelpad=2)
    axes.set_ylabel("score", color=FAINT, labelpad=2)
    _plain(axes)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#cbd2d9")
    axes.tick_params(colors=FAINT, labelsize=8, length=3)
    axes.margins(x=0.0)
    axes.locator_params(axis="y", nbins=4)


def _outcome(panel: Panel) -> str:
    if panel.delay_h is None:
        return "missed"
    minutes = panel.delay_h * 60
    late = f"after {minutes:.0f} min" if minutes < 90 else f"after {panel.delay_h:.1f} h"
    return f"found {late if minutes else 'at once'} · first: {panel.first_tag}"


def _colour(panel: Panel) -> str:
    if panel.delay_h is None:
        return ALARM
    return RIGHT if panel.first_tag == panel.fault.tag else INK


def main() -> None:
    """Simulate, fit, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("png", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    plant = simulate_plant(seed=given.seed)
    detector = fit(plant)
    found = panels(plant, detector)
    draw(found, detector.threshold_, given.png)
    for panel in found:
        sys.stdout.write(f"{panel.fault.kind:<12}{panel.fault.tag:<24}{_outcome(panel)}\n")


if __name__ == "__main__":
    main()
