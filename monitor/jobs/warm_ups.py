"""Warm-ups move at the end of their day; today's mail is counted as its records come; what nobody needs is forgotten.

Looked at every minute: a day ends at another hour at each provider. Whatever was missed (a stop, a crash) is caught up with, day by
day and each of them once; the lease keeps it to one process, and the rows themselves say which days are done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.config.warmup import WarmUp as Settings
from monitor.facts import Store
from monitor.jobs.schedule import Work
from monitor.judging.warm_up_evidence import SENT, DayCounts, evidence_of, read_all, sent_of
from monitor.warmup.allowances import forget
from monitor.warmup.days import begins_at
from monitor.warmup.progress import Patience, close_day, due, record
from monitor.warmup.rows import today_of, warming_up

EVERY = timedelta(minutes=1)
FORGET_EVERY = timedelta(hours=1)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WarmUps:
    """The jobs of all warm-ups of one store."""

    store: Store
    clock: Callable[[], datetime]
    settings: Settings

    def jobs(self) -> list[Work]:
        return [Work("warm-ups", EVERY, self.run), Work("grants", FORGET_EVERY, self.forget)]

    def run(self) -> None:
        """Close the days that are over, then count what was sent today."""
        now = self.clock()
        self.close(now)
        self.count(now)

    def close(self, now: datetime) -> int:
        """Move what is due; returns how many days were closed."""
        with self.store.reading_session() as session:
            waiting = due(session, now)
            known = read_all(session, now) if waiting else None
        counts, closed = DayCounts(self.store, len(waiting)), 0
        patience = Patience(self.settings.rests_after.days, self.settings.stuck_after)
        for row, days in waiting:
            assert known is not None
            for day in days:
                with self.store.session() as session:
                    evidence = evidence_of(row, day, counts, known)
                    after = close_day(session, row.id, day, evidence, patience, now=now)
                if after is None:
                    break
                closed += 1
                row.evidence_since = after.evidence_since
        return closed

    def count(self, now: datetime) -> None:
        """What records say was sent today, against what is allowed."""
        with self.store.reading_session() as session:
            rows = warming_up(session)
        if not rows:
            return
        counts = DayCounts(self.store, len(rows))
        end = now + timedelta(minutes=10)  # records may be dated by a clock that runs ahead
        sent = {row.id: sent_of(counts.of(row, begins_at(today_of(row, now), row.zone), end, SENT)) for row in rows}
        with self.store.session() as session:
            record(session, sent, now)

    def forget(self) -> None:
        """Throw away grants and answers that nobody will ask for any more."""
        with self.store.session() as session:
            forget(session, self.clock())
