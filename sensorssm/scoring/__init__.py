"""Residuals become scores, scores become events: numpy and compiled loops, no torch."""

from sensorssm.scoring.advance import advance, advance_all, fold
from sensorssm.scoring.cell import SEEN, Cell, state_size, statistics_of
from sensorssm.scoring.events import Event, describe_events, find_events
from sensorssm.scoring.fit import Options, fit_cell
from sensorssm.scoring.modes import Modes, find_mode_tag, fit_modes, rescore
from sensorssm.scoring.readouts import Rows
from sensorssm.scoring.thresholds import (
    period_seconds,
    threshold_for_budget,
    threshold_for_learner,
    threshold_for_rate,
)
from sensorssm.scoring.trimming import fit_trimmed

__all__ = [
    "SEEN",
    "Cell",
    "Event",
    "Modes",
    "Options",
    "Rows",
    "advance",
    "advance_all",
    "describe_events",
    "find_events",
    "find_mode_tag",
    "fit_cell",
    "fit_modes",
    "fit_trimmed",
    "fold",
    "period_seconds",
    "rescore",
    "state_size",
    "statistics_of",
    "threshold_for_budget",
    "threshold_for_learner",
    "threshold_for_rate",
]
