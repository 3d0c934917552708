"""The one road in: batches are stored, and then whoever waits for new facts hears of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from collectors.observation import Batch
from monitor.facts import Store, Taken


@dataclass(frozen=True, slots=True)
class Ingest:
    """`on_new` are called with every new batch once it is committed; evidence is kept for `evidence_for`."""

    store: Store
    clock: Callable[[], datetime]
    evidence_for: timedelta
    on_new: Sequence[Callable[[Taken], None]] = ()

    def __call__(self, batches: Sequence[Batch]) -> list[Taken]:
        """One answer each in order; returns once they are committed. Raises as Store.intake."""
        taken = self.store.intake(batches, self.clock(), evidence_for=self.evidence_for)
        for each in taken:
            if each.new:
                for hear in self.on_new:
                    hear(each)
        return taken
