"""Alarms: when a score is told to a person, in which words, and which known faults they found."""

from sensorssm_pipelines.alarms.engine import OPENING as OPENING
from sensorssm_pipelines.alarms.engine import AlarmEngine as AlarmEngine
from sensorssm_pipelines.alarms.faults import match_faults as match_faults
from sensorssm_pipelines.alarms.load import AlarmLoad as AlarmLoad
from sensorssm_pipelines.alarms.load import alarm_load as alarm_load
from sensorssm_pipelines.alarms.messages import TagFacts as TagFacts
from sensorssm_pipelines.alarms.terms import Alarm as Alarm
from sensorssm_pipelines.alarms.terms import Evidence as Evidence
from sensorssm_pipelines.alarms.terms import Rule as Rule

__all__ = [
    "OPENING",
    "Alarm",
    "AlarmEngine",
    "AlarmLoad",
    "Evidence",
    "Rule",
    "TagFacts",
    "alarm_load",
    "match_faults",
]
