"""The report as one page for a browser: what became of each fault, drawn, and the whole text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Any

import polars as pl

from sensorssm.names import unit_sign
from sensorssm_pipelines.jobs.drawing import Span, chart
from sensorssm_pipelines.jobs.judge import JudgeReport
from sensorssm_pipelines.periods import minutes_text
from sensorssm_pipelines.store import Store

_BEFORE, _AFTER = timedelta(hours=12), timedelta(hours=6)  # shown around a fault
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem;
  background: light-dark(#eceeef, #14181a); color: light-dark(#22282c, #e4e8ea); }
section { background: light-dark(#fbfcfc, #1d2326); border-radius: 4px; padding: .6rem 1rem;
  margin: .8rem 0; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.05rem; margin: .2rem 0; }
.missed h2 { color: light-dark(#c4262e, #f0666d); }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; } figure { flex: 1 1 420px; margin: .4rem 0; }
figcaption, svg text { color: light-dark(#6a7377, #98a2a7); fill: light-dark(#6a7377, #98a2a7);
  font-size: 11px; }
path { fill: none; stroke-width: 1.3; }
.seen { stroke: light-dark(#22282c, #e4e8ea); }
.expected { stroke: light-dark(#3f7f98, #8fb6ca); stroke-dasharray: 4 3; }
.limit { stroke: light-dark(#8d2f35, #e27d83); stroke-dasharray: 5 3; }
.alarm { stroke: light-dark(#d9730d, #f0953f); stroke-width: 2; }
.fault { fill: light-dark(#7a6a99, #a99acd); opacity: .18; }
pre { overflow-x: auto; font-size: 12px; }
"""


def write(title: str, text: str, faults: JudgeReport | None, store: Store) -> None:
    """Write ``report.html`` into the store's folder; it needs nothing beside itself."""
    sections = [_fault(fault, store) for fault in (faults.faults if faults else [])]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(title)}</h1>{''.join(sections)}"
        f"<section><pre>{escape(text)}</pre></section></html>\n"
    )
    (store.path / "report.html").write_text(page, encoding="utf-8")


def _fault(fault: Mapping[str, Any], store: Store) -> str:
    """Return a section on one fault: what was found of it, its score and its tag."""
    asset, span = fault["asset"], (fault["started"] - _BEFORE, fault["ended"] + _AFTER)
    opened = _opened(fault)
    shown = {"span": span, "marked": (fault["started"], fault["ended"]), "at": opened}
    scores = store.read_scores(asset, *span)
    score = [("limit", scores["threshold"]), ("seen", scores["score"].fill_null(float("nan")))]
    charts = [_figure("score and threshold", chart(scores["time"].to_list(), score, **shown))]
    tag = fault["first_tag"] or fault["tag"]
    if tag is not None:
        charts.append(_figure(f"{tag}: seen and expected", _readings(store, asset, tag, shown)))
    state = "found" if fault["found"] else "missed"
    return (
        f'<section class="{state}"><h2>{escape(_title(fault))}</h2><p>{escape(_told(fault))}</p>'
        f'<div class="charts">{"".join(charts)}</div></section>'
    )


def _opened(fault: Mapping[str, Any]) -> datetime | None:
    if not fault["found"]:
        return None
    return fault["started"] + timedelta(minutes=fault["delay_min"])


def _readings(store: Store, asset: str, tag: str, shown: Mapping[str, Any]) -> str:
    span: Span = shown["span"]
    rows = store.read_explanations(asset, *span).filter(pl.col("tag") == tag)
    known = rows.with_columns(pl.col("value", "expected").fill_null(float("nan")))
    lines = [("expected", known["expected"]), ("seen", known["value"])]
    return chart(known["time"].to_list(), lines, **shown)


def _title(fault: Mapping[str, Any]) -> str:
    where = f"{fault['fault']} on {fault['asset']}, from {fault['started']:%Y-%m-%d %H:%M} UTC"
    if not fault["found"]:
        return f"MISSED: {where}"
    return f"Found: {where}, after {minutes_text(fault['delay_min'])}"


def _told(fault: Mapping[str, Any]) -> str:
    if not fault["found"]:
        return f"The tag of the fault is {fault['tag']}." if fault["tag"] else ""
    unit = unit_sign(fault["unit"])
    words = [f"First tag named: {fault['first_tag']}"]
    if fault["seen"] is not None and fault["expected"] is not None:
        words[0] += f", read {fault['seen']:.4g} {unit}, expected {fault['expected']:.4g} {unit}"
    if fault["tag"] is not None:
        words.append(f"tag of the fault: {fault['tag']}")
    if fault["top_tags"]:
        words.append(f"most blamed: {', '.join(fault['top_tags'])}")
    return "; ".join(words) + "."


def _figure(caption: str, drawing: str) -> str:
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>"
