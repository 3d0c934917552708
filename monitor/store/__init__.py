"""Everything Vigie keeps: see README.md."""

from monitor.store.intake import Taken
from monitor.store.retention import Retention
from monitor.store.runs import Runs
from monitor.store.store import Store

__all__ = ["Retention", "Runs", "Store", "Taken"]
