"""Alarms: when a score is told to a person, and in which words."""

from sensorssm_pipelines.alarms.engine import AlarmEngine as AlarmEngine
from sensorssm_pipelines.alarms.messages import TagFacts as TagFacts
from sensorssm_pipelines.alarms.terms import Alarm as Alarm
from sensorssm_pipelines.alarms.terms import Evidence as Evidence
from sensorssm_pipelines.alarms.terms import Rule as Rule

__all__ = ["Alarm", "AlarmEngine", "Evidence", "Rule", "TagFacts"]
