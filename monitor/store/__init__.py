"""Everything Vigie keeps: see README.md."""

from monitor.store.intake import Taken
from monitor.store.store import Store

__all__ = ["Store", "Taken"]
