"""Job: say on a page what a run found, and leave it beside the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sensorssm.names import unit_sign
from sensorssm_pipelines.jobs import webpage
from sensorssm_pipelines.jobs.backtest import BASELINES, MODEL, BacktestReport
from sensorssm_pipelines.jobs.fit import FitReport
from sensorssm_pipelines.jobs.ingest import IngestReport
from sensorssm_pipelines.jobs.judge import JudgeReport
from sensorssm_pipelines.jobs.measures import MEASURES, written
from sensorssm_pipelines.jobs.records import to_json
from sensorssm_pipelines.jobs.replay import ReplayReport
from sensorssm_pipelines.jobs.rows import RowsReport
from sensorssm_pipelines.jobs.score import ScoreReport
from sensorssm_pipelines.periods import minutes_text
from sensorssm_pipelines.store import Store

_MOST_LOW = 5  # series of low grade that are named
#: Of forecasts, in the order of the table: heading and form.
_ERRORS = {
    "mase": ("MASE", ".3f"),
    "pinball": ("pinball", ".3f"),
    "crps": ("CRPS", ".3f"),
    "mse": ("MSE", ".3f"),
    "mae": ("MAE", ".3f"),
    "coverage": ("in 80 % band", ".1%"),
    "calibration_error": ("quantiles off", ".3f"),
}


@dataclass(frozen=True)
class RunReport:
    """All that the parts of a run reported; None where the recipe leaves a part out."""

    recipe: str
    seconds: float
    ingest: IngestReport
    fit: FitReport
    backtest: BacktestReport | None
    replay: ReplayReport | None
    faults: JudgeReport | None
    rows: RowsReport | None


def run(report: RunReport, store: Store) -> str:
    """Write ``report.json``, ``.txt`` and ``.html`` into the store's folder; return the text."""
    text = as_text(report) + f"\n\nResults in {store.path}, after {report.seconds:.0f} s."
    (store.path / "report.json").write_text(to_json(report) + "\n", encoding="utf-8")
    (store.path / "report.txt").write_text(text + "\n", encoding="utf-8")
    webpage.write(f"sensorssm: {report.recipe}", text, report.faults, store)
    return text


def as_text(report: RunReport) -> str:
    """Return the report as a page of text, part by part."""
    parts = [ingest_text(report.ingest), fit_text(report.fit)]
    if report.backtest is not None:
        parts.append(backtest_text(report.backtest))
    if report.replay is not None:
        parts.append(_replay(report.replay))
    if report.faults is not None and report.faults.faults:
        parts.append(_faults(report.faults))
    if report.rows is not None:
        parts.append(_rows(report.rows))
    return "\n\n".join(parts)


def ingest_text(report: IngestReport) -> str:
    """Return where every reading went, and how fast."""
    account = report.account
    lines = [
        (
            f"Ingested {account.rows_in:,} readings of {_assets(report.assets)} in "
            f"{report.seconds:.1f} s: {report.readings_per_second:,.0f} readings per second"
        ),
        (
            f"  {account.rows_out:,} used ({account.late:,} had arrived late) + "
            f"{account.deduplicated:,} duplicates + {account.quarantined:,} quarantined"
        ),
        f"  grid: {account.cells:,} cells, {account.missing / max(account.cells, 1):.1%} missing",
    ]
    if report.reasons:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.reasons.items())
        lines.append(f"  quarantined for: {reasons}")
    if report.low:
        rest = f", and {len(report.low) - _MOST_LOW} more" if len(report.low) > _MOST_LOW else ""
        lines.append(f"  of low grade: {'; '.join(report.low[:_MOST_LOW])}{rest}")
    return "\n".join(lines)


def _assets(count: int) -> str:
    return f"{count} asset{'' if count == 1 else 's'}"


def fit_text(report: FitReport) -> str:
    """Return what was fitted, on how much, and how long it took."""
    took = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items())
    text = f"Fitted {_assets(report.assets)} on {report.rows:,} rows: {took}"
    kept = [
        f"{asset} (held-back loss -{gain:.1%})"
        for asset, gain in report.selective.items()
        if gain > 0
    ]
    if report.selective:
        text += f"\n  selective memory kept for {', '.join(kept) if kept else 'no asset'}"
    return text + _moved(report.moved)


def score_text(report: ScoreReport, store: Store) -> str:
    """Return how much was scored, and how far labels moved the thresholds."""
    text = f"{report.instants:,} instants scored, {report.alarms} alarms, in {store.path}"
    return text + _moved(report.moved)


def _moved(moved: Mapping[str, tuple[float, float]]) -> str:
    return "".join(
        f"\n  labels moved the threshold of {asset} from {fitted:.2f} to {now:.2f}"
        for asset, (fitted, now) in moved.items()
    )


def backtest_text(report: BacktestReport) -> str:
    """Return the forecast errors beside those of the baselines."""
    rows = [
        [
            model + (f" at {horizon}" if len(report.horizons) > 1 else ""),
            *(
                format(report.mean(model, name, horizon), form)
                for name, (_, form) in _ERRORS.items()
            ),
        ]
        for horizon in report.horizons
        for model in (MODEL, *BASELINES)
    ]
    head = ["forecast", *(heading for heading, _ in _ERRORS.values())]
    steps = " or ".join(map(str, report.horizons))
    title = (
        f"Forecasts of {steps} steps from {report.origins:,} origins (errors in spreads of each "
        "tag: less is better; the band should hold 80 %)"
    )
    return f"{title}\n{table(head, rows)}"


def _replay(report: ReplayReport) -> str:
    return (
        f"Replayed {report.instants:,} instants one at a time in {report.seconds:.1f} s, "
        f"{report.alarms} alarms\n"
        f"  one step: p50 {report.step_ms_p50:.3f} ms, p99 {report.step_ms_p99:.3f} ms"
    )


def _faults(report: JudgeReport) -> str:
    head = ["fault", "asset", "started (UTC)", "", "after", "first tag named", "read", "expected"]
    head += ["right tag", "most blamed"]
    rows = [_fault(fault) for fault in report.faults]
    named = sum(fault["tag"] is not None for fault in report.faults)
    right = f", {report.right_tags} of {named} with the right tag" if named else ""
    return (
        f"Faults: {report.found} of {len(rows)} found{right}; {_false_alarms(report)}\n"
        f"{table(head, rows)}"
    )


def _fault(fault: Mapping[str, Any]) -> list[str]:
    named = "" if fault["tag"] is None else "yes" if fault["right_tag"] else f"no: {fault['tag']}"
    return [
        str(fault["fault"]),
        str(fault["asset"]),
        f"{fault['started']:%Y-%m-%d %H:%M}",
        "found" if fault["found"] else "MISSED",
        "" if fault["delay_min"] is None else minutes_text(fault["delay_min"]),
        fault["first_tag"] or "",
        *(_in_unit(fault[name], fault["unit"]) for name in ("seen", "expected")),
        named,
        ", ".join(fault["top_tags"]),
    ]


def _in_unit(value: float | None, unit: str | None) -> str:
    return "" if value is None else f"{value:.4g} {unit_sign(unit)}".rstrip()


def _false_alarms(report: JudgeReport) -> str:
    count = f"{report.false_alarms} false alarm{'' if report.false_alarms == 1 else 's'}"
    if report.normal_weeks < 1:  # too short a time to speak of weeks
        return f"{count} in {report.normal_weeks * 7 * 24:.1f} hours of normal operation"
    return (
        f"{count} in {report.normal_weeks:.1f} asset-weeks of normal operation: "
        f"{report.false_alarms_per_week:.2f} per week"
    )


def _rows(report: RowsReport) -> str:
    names = [name for name in report.table.columns if name != "model"]
    rows = [
        [row["model"], *(written(name, row[name]) for name in names)]
        for row in report.table.iter_rows(named=True)
    ]
    head = ["detector", *(MEASURES[name].heading for name in names)]
    volume = f", VUS-PR with a window of {report.vus_window} rows" if "vus_pr" in names else ""
    return f"Row by row, at thresholds set without labels{volume}\n{table(head, rows)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned text: names to the left, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    right = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(cells, widths, right, strict=True)
        )
        return "  " + "  ".join(padded).rstrip()

    return "\n".join(line(cells) for cells in (head, *rows))


def _is_number(cell: str) -> bool:
    return cell == "" or cell[0].isdigit() or cell[0] == "-"
