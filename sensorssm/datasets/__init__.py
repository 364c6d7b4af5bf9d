"""A simulated plant with labelled faults, and the dirty export its historian would give."""

from sensorssm.datasets.dirt import ExportRates
from sensorssm.datasets.faults import FAULT_KINDS, Fault
from sensorssm.datasets.historian import (
    ExportAccount,
    account_export,
    historian_export,
    write_historian_csv,
)
from sensorssm.datasets.plant import Plant, simulate_plant
from sensorssm.datasets.tags import TAGS, Tag

__all__ = [
    "FAULT_KINDS",
    "TAGS",
    "ExportAccount",
    "ExportRates",
    "Fault",
    "Plant",
    "Tag",
    "account_export",
    "historian_export",
    "simulate_plant",
    "write_historian_csv",
]
