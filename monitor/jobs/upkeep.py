"""What is done every so often without anybody asking: roll-ups, retention, abuse cases, ended enrolments and listings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.abuse.rows import open_cases
from monitor.facts import Retention, Store
from monitor.feedback_loops.rows import lapse
from monitor.jobs.schedule import Work
from monitor.listings.rows import end_unasked

ROLL_UP_EVERY = timedelta(minutes=5)
COUNT_LOG_KEPT = timedelta(minutes=15)  # who fell behind further counts anew
PRUNE_EVERY = timedelta(days=1)
CASES_EVERY = timedelta(minutes=1)
ENROLMENTS_EVERY = timedelta(minutes=1)
LISTINGS_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """The upkeep of one store; `retention` says how long each kind of fact is kept, `lists` which DNS lists are asked."""

    store: Store
    clock: Callable[[], datetime]
    retention: Retention
    lists: Collection[str] = ()

    def jobs(self) -> list[Work]:
        return [
            Work("roll-up", ROLL_UP_EVERY, self.roll_up),
            Work("prune", PRUNE_EVERY, self.prune),
            Work("abuse-cases", CASES_EVERY, self.open_cases),
            Work("enrolments", ENROLMENTS_EVERY, self.end_enrolments),
            Work("listings", LISTINGS_EVERY, self.end_listings),
        ]

    def roll_up(self) -> None:
        self.store.roll_up()
        self.store.forget_count_log(self.clock() - COUNT_LOG_KEPT)

    def prune(self) -> None:
        self.store.prune(self.clock(), self.retention)

    def open_cases(self) -> None:
        """Make cases of the letters and reports that came to the abuse mailboxes."""
        open_cases(self.store, self.clock())

    def end_enrolments(self) -> None:
        """End the enrolments in feedback loops whose time is over."""
        with self.store.session() as session:
            lapse(session, self.clock())

    def end_listings(self) -> None:
        """End the listings of lists and targets that are no longer asked about."""
        with self.store.session() as session:
            end_unasked(session, self.lists, self.clock())
