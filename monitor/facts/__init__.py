"""Everything Vigie keeps: see README.md."""

from monitor.config.settings import Retention
from monitor.database.replica import Answer, Question
from monitor.facts.append import RecordsTakenError, Taken
from monitor.facts.runs import Runs
from monitor.facts.store import Store

__all__ = ["Answer", "Question", "RecordsTakenError", "Retention", "Runs", "Store", "Taken"]
